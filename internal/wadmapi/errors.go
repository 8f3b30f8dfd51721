package wadmapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// message is an error whose text is meant for the user of wash as it stands.
type message string

func (m message) Error() string { return string(m) }

// say makes the error reply of an operation: the text where it is meant for the user, else "Internal storage error" with
// the reason in the log.
func say(ctx context.Context, operation string, err error) errorReply {
	return failure(operation, userText(ctx, err, textStorage))
}

func userText(ctx context.Context, err error, fallback string) string {
	var m message
	switch {
	case errors.As(err, &m):
		return string(m)
	case errors.Is(err, ErrNoHome):
		return ErrNoHome.Error()
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err),
		apierrors.IsAlreadyExists(err), apierrors.IsRequestEntityTooLargeError(err):
		return err.Error()
	}
	logr.FromContextOrDiscard(ctx).Error(err, "A request of wadm's API failed")
	return fallback
}

// failure is the error reply; wadm's client reads one of versions only with that member.
func failure(operation, text string) errorReply {
	r := errorReply{Message: text, Result: resultError}
	if operation == "versions" {
		r.Versions = json.RawMessage("[]")
	}
	return r
}

// readBody reads an optional JSON object; the error is for textParse….
func readBody(data []byte, into any) error {
	if len(data) == 0 {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	if object == nil {
		return errors.New("expected an object")
	}
	return json.Unmarshal(data, into)
}

func text(format string, args ...any) message { return message(fmt.Sprintf(format, args...)) }
