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
	// ErrFull says that NATS has reached the limit of what it may keep on disk. Nothing was written. The API server answers
	// 507, and reads go on.
	ErrFull = errors.New("the store is full")
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

// full names no time to try again either: somebody has to make room.
func full(why error) error {
	err := newStatus(http.StatusInsufficientStorage, "InsufficientStorage", fmt.Errorf(
		"%w: NATS may keep no more on its disk (%w); raise max_file_store of NATS (chart value nats.jetstream.maxFile), on a larger disk if need be", ErrFull, why))
	err.status.Details = nil
	return err
}

// storeChanged names no time to try again: somebody has to decide first, and clients that wait would hide the reason.
func storeChanged(why string) error {
	err := newStatus(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable,
		fmt.Errorf("%s: %w: %s; bring that store back, or take the present one as the truth with `trellis store accept`",
			CauseStoreChanged, ErrStoreChanged, why))
	err.status.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: CauseStoreChanged, Message: why}}}
	return err
}

// CauseStoreChanged is the type of the status cause in answers while the store has changed.
const CauseStoreChanged metav1.CauseType = "StoreChanged"

// errNotTaken is the reason of an unknown outcome while NATS answers: so it does without a majority, and when its disk
// takes nothing.
var errNotTaken = errors.New("NATS answers questions and does not store; if it stays so, too few of its servers are up, " +
	"or its disk is full or broken: make room, then restart NATS, which stores nothing before that")

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
