package lattice

import "errors"

// Errors of this package; match with errors.Is.
var (
	// ErrInvalidName: a text cannot be used as lattice name, identifier or subject token.
	ErrInvalidName = errors.New("invalid name")
	// ErrMalformed: a message is not what its subject promises.
	ErrMalformed = errors.New("malformed message")
	// ErrTooLarge: a message is larger than MaxMessageBytes.
	ErrTooLarge = errors.New("message too large")
	// ErrUnsupportedSubject: no operation of the control interface has this subject.
	ErrUnsupportedSubject = errors.New(MessageUnsupportedSubject)
)
