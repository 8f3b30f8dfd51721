package store

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	// ErrUnavailable says that NATS, or the stream in it, can't be reached or refuses to work at the moment. Nothing was
	// written. The API server answers 503 with Retry-After.
	ErrUnavailable = errors.New("the store can't be reached")
	// ErrUnknownOutcome says that a write was sent and neither its success nor its failure could be established. The API
	// server answers 504.
	ErrUnknownOutcome = errors.New("the outcome of the write is unknown")
	// ErrStoreChanged says that the stream is not the one that was served before, or that it lost its end. Nothing is
	// served until Accept.
	ErrStoreChanged = errors.New("the store has changed")

	// errLostRace says that somebody else wrote the subject first. Nothing was written.
	errLostRace = errors.New("somebody else changed the object first")
	// errClosed says that Close was called.
	errClosed = errors.New("the store is closed")
)

const retryAfterSeconds = 1

// statusError is an error with the answer that an API server gives for it.
type statusError struct {
	status metav1.Status
	cause  error
}

var _ apierrors.APIStatus = (*statusError)(nil)

func (e *statusError) Error() string         { return e.status.Message }
func (e *statusError) Status() metav1.Status { return e.status }
func (e *statusError) Unwrap() error         { return e.cause }

// unavailable wraps ErrUnavailable with what went wrong.
func unavailable(why error) error {
	cause := ErrUnavailable
	if why != nil {
		cause = fmt.Errorf("%w: %w", ErrUnavailable, why)
	}
	return newStatus(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, cause)
}

func storeChanged(why string) error {
	err := newStatus(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable,
		fmt.Errorf("%w: %s", ErrStoreChanged, why))
	err.status.Details.Causes = []metav1.StatusCause{{Type: CauseStoreChanged, Message: why}}
	return err
}

// CauseStoreChanged is the type of the status cause in answers while the store has changed.
const CauseStoreChanged metav1.CauseType = "StoreChanged"

func unknownOutcome(why error) error {
	return newStatus(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, fmt.Errorf("%w: %w", ErrUnknownOutcome, why))
}

func newStatus(code int32, reason metav1.StatusReason, cause error) *statusError {
	return &statusError{cause: cause, status: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: cause.Error(),
		Details: &metav1.StatusDetails{RetryAfterSeconds: retryAfterSeconds},
	}}
}

// The three sentences below are those of Kubernetes' etcd adapter: clients look for them.
const (
	expiredList     = "The resourceVersion for the provided list is too old."
	expiredWatch    = "The resourceVersion for the provided watch is too old."
	expiredContinue = "The provided continue parameter is too old " +
		"to display a consistent list result. You can start a new list without " +
		"the continue parameter, or use the continue token in this response to " +
		"retrieve the remainder of the results. Continuing with the provided " +
		"token results in an inconsistent list - objects that were created, " +
		"modified, or deleted between the time the first chunk was returned " +
		"and now may show up in the list."
)
