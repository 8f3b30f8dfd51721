package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Errors of this package; match with errors.Is. For a refusal use errors.As with *RefusedError.
var (
	// ErrTimeout: no answer in time. The command may have been carried out.
	ErrTimeout error = timeoutError{}
	// ErrNoResponders: no host listens there. The command was not carried out.
	ErrNoResponders = errors.New("no host listens")
	// ErrDisconnected: our own connection to NATS is down. The command was not sent.
	ErrDisconnected = errors.New("not connected to NATS")
	// ErrLoginRefused: our own connection is down because NATS does not accept the login any more. It is an ErrDisconnected.
	ErrLoginRefused = fmt.Errorf("%w: it refuses the login", ErrDisconnected)
	// ErrBadReply: the answer cannot be read.
	ErrBadReply = errors.New("the answer cannot be read")
)

// timeoutError says so by a method too, for those who only ask whether a command may have been carried out.
type timeoutError struct{}

func (timeoutError) Error() string { return "no answer in time" }

func (timeoutError) Timeout() bool { return true }

// Error is a failed operation.
type Error struct {
	// Operation in words, for instance "scale component hello on host N…".
	Operation string
	Err       error
}

func (e *Error) Error() string { return e.Operation + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// RefusedError is a host's answer without success.
type RefusedError struct {
	// Message of the host; internal/lattice has the texts worth matching.
	Message string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("the host refuses: %s", e.Message) }

// Refusal is the message of a host that refused, if err is that.
func Refusal(err error) (message string, ok bool) {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused.Message, true
	}
	return "", false
}

// IsUnsupported says whether a host refused because it has no such command.
func IsUnsupported(err error) bool {
	message, refused := Refusal(err)
	return refused && message == lattice.MessageUnsupportedSubject
}

// translate says what an error of NATS means for an operation. A connection that is down says why by its own last error.
func (c *Client) translate(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return ErrNoResponders
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return ErrTimeout
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed),
		errors.Is(err, nats.ErrConnectionDraining), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrConnectionReconnecting):
		return disconnected(c.conn.LastError(), err)
	default:
		return err
	}
}

// disconnected prefers the reason to its effect on one operation.
func disconnected(reason, effect error) error {
	switch {
	case errors.Is(reason, nats.ErrAuthorization), errors.Is(reason, nats.ErrAuthExpired), errors.Is(reason, nats.ErrAuthRevoked),
		errors.Is(reason, nats.ErrAccountAuthExpired):
		return fmt.Errorf("%w: %w", ErrLoginRefused, reason)
	case reason != nil:
		return fmt.Errorf("%w: %w", ErrDisconnected, reason)
	}
	return fmt.Errorf("%w: %w", ErrDisconnected, effect)
}
