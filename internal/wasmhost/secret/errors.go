package secret

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// The beginnings of texts below are upstream's: users look them up, and managers show them.
var (
	errNoStrings = errors.New("it is not a JSON object of strings")
	errPolicy    = errors.New("its policy is not the JSON of an object with type and properties")
	errBackend   = errors.New("failed to create secrets client: the backend of the secret reference is no part of a NATS subject")

	errNotReply     = errors.New("failed to deserialize secret response: it is not one of the protocol")
	errUnexplained  = errors.New("server error: unhandled server error (the server errored without explanation)")
	errDecryption   = errors.New("server error: Error decrypting secret")
	errTimedOut     = errors.New("request timed out")
	errNoResponders = errors.New("no responders")

	// ErrTopic says that a prefix of subjects cannot be used.
	ErrTopic = errors.New("the secrets topic must be one or more words of letters, digits, - and _, joined by dots")
)

// missingFieldError names a required member of a reference.
type missingFieldError struct{ member string }

func (e *missingFieldError) Error() string { return "missing field `" + e.member + "`" }

// requestError gives the ends of a request the texts that upstream's client has for them.
func requestError(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return errNoResponders
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return errTimedOut
	}
	return err
}
