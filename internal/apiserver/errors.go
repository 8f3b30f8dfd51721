package apiserver

import (
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const retryAfterSeconds = 1

// unavailable is the answer while NATS can't be reached: 503, the reason, and when to try again.
func unavailable(what string, cause error) error {
	message := what
	if cause != nil {
		message += ": " + cause.Error()
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusServiceUnavailable,
		Reason: metav1.StatusReasonServiceUnavailable, Message: message,
		Details: &metav1.StatusDetails{RetryAfterSeconds: retryAfterSeconds},
	}}
}

// interpret maps what the storage answers to what a client should see. The store's own errors carry their status; the
// watch cache answers 429 while it is being filled, which tells clients that they ask too much although NATS is away.
func interpret(err error) error {
	if err == nil {
		return nil
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code == http.StatusTooManyRequests {
		return unavailable("the cache of applications is being filled from NATS", err)
	}
	return err
}

// withoutNATS says whether an answer means that NATS could not be asked.
func withoutNATS(err error) bool {
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServerTimeout(err)
}
