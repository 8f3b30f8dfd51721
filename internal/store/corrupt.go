package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"
)

// corruptError says that the stored form of an object can't be read. It is told apart from other errors so that an
// administrator may delete such an object unread.
type corruptError struct{ cause error }

func (e *corruptError) Error() string {
	return fmt.Sprintf("the stored object can't be read: %v", e.cause)
}
func (e *corruptError) Unwrap() error { return e.cause }

// asCorrupt gives the registry the error that begins an unsafe deletion.
func asCorrupt(key string, err error) error {
	var corrupt *corruptError
	if !errors.As(err, &corrupt) {
		return err
	}
	return storage.NewCorruptObjError(key, corrupt)
}

const mostCorrupt = 100

var errTooManyCorrupt = errors.New("too many errors, the list is truncated")

// listErrors collects what goes wrong with single objects of a list. Without collect the first error ends the list.
type listErrors struct {
	collect bool
	corrupt []error
	abort   error
}

// add says whether the list must end.
func (l *listErrors) add(key string, err error) bool {
	var corrupt *corruptError
	if !l.collect || !errors.As(err, &corrupt) {
		l.abort = err
		return true
	}
	l.corrupt = append(l.corrupt, storage.NewCorruptObjError(key, corrupt))
	if len(l.corrupt) == mostCorrupt {
		l.abort = errTooManyCorrupt
		return true
	}
	return false
}

// result is the error of the list: nothing, the one that ended it, or a status that names each corrupt object.
func (l *listErrors) result(of schema.GroupResource) error {
	if len(l.corrupt) == 0 {
		return l.abort
	}
	var causes []metav1.StatusCause
	for _, err := range l.corrupt {
		cause := metav1.StatusCause{Type: metav1.CauseTypeUnexpectedServerResponse, Message: err.Error()}
		var named *storage.StorageError
		if errors.As(err, &named) {
			cause.Field = named.Key
		}
		causes = append(causes, cause)
	}
	switch {
	case errors.Is(l.abort, errTooManyCorrupt):
		causes = append(causes, metav1.StatusCause{Type: metav1.CauseTypeTooMany, Message: l.abort.Error()})
	case l.abort != nil:
		causes = append(causes, metav1.StatusCause{Type: metav1.CauseTypeUnexpectedServerResponse, Message: l.abort.Error()})
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Reason: metav1.StatusReasonStoreReadError,
		Message: fmt.Sprintf("failed to read %d or more %s from the store: %v", len(l.corrupt), of.String(), l.corrupt[0]),
		Details: &metav1.StatusDetails{Group: of.Group, Kind: of.Resource, Name: "list", Causes: causes},
	}}
}

// corruptTransformer marks the errors of a transformer.
type corruptTransformer struct{ value.Transformer }

// TransformFromStorage implements value.Transformer.
func (t corruptTransformer) TransformFromStorage(ctx context.Context, data []byte, about value.Context) ([]byte, bool, error) {
	out, stale, err := t.Transformer.TransformFromStorage(ctx, data, about)
	if err != nil {
		err = &corruptError{cause: err}
	}
	return out, stale, err
}

// corruptCodec marks the errors of decoding.
type corruptCodec struct{ runtime.Codec }

// Decode implements runtime.Codec.
func (c corruptCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, kind, err := c.Codec.Decode(data, defaults, into)
	if err != nil {
		err = &corruptError{cause: err}
	}
	return obj, kind, err
}
