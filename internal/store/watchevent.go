package store

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

// event turns a change into what a watch sees: an object that begins or ceases to match is added or deleted for it.
// It returns nil for a change that the watch does not see.
func (w *watcher) event(c change, initial bool) (*watch.Event, error) {
	if c.now.deleted {
		obj, err := w.object(c.key, c.now, c.now.seq)
		if err != nil {
			return nil, w.corruptDeletion(err)
		}
		return w.eventIf(w.accepts(obj), watch.Deleted, obj), nil
	}
	obj, err := w.object(c.key, c.now, c.now.seq)
	if err != nil {
		return nil, err
	}
	if initial || c.now.created() || c.prev == nil {
		return w.eventIf(w.accepts(obj), watch.Added, obj), nil
	}
	if w.pred.Empty() {
		return w.eventIf(true, watch.Modified, obj), nil
	}
	// The old object carries the revision at which it ceased to be.
	old, err := w.object(c.key, c.prev, c.now.seq)
	if err != nil {
		return nil, err
	}
	switch is, was := w.accepts(obj), w.accepts(old); {
	case is && was:
		return w.eventIf(true, watch.Modified, obj), nil
	case is:
		return w.eventIf(true, watch.Added, obj), nil
	default:
		return w.eventIf(was, watch.Deleted, old), nil
	}
}

func (w *watcher) eventIf(wanted bool, kind watch.EventType, obj runtime.Object) *watch.Event {
	if !wanted {
		return nil
	}
	return &watch.Event{Type: kind, Object: obj}
}

func (w *watcher) accepts(obj runtime.Object) bool {
	if w.pred.Empty() {
		return true
	}
	matched, err := w.pred.Matches(obj)
	return err == nil && matched
}

// object decodes a version as of a revision.
func (w *watcher) object(key string, v *version, revision uint64) (runtime.Object, error) {
	data, _, err := w.o.plain(w.ctx, w.o.storageKey(key), v)
	if err != nil {
		return nil, err
	}
	obj, err := runtime.Decode(w.o.res.Codec, data)
	if err != nil {
		return nil, err
	}
	if err := w.o.versioner.UpdateObject(obj, revision); err != nil {
		return nil, fmt.Errorf("set the revision of an object: %w", err)
	}
	return obj, nil
}

// corruptDeletion is the error of a watch that can't show the last state of a deleted object.
func (w *watcher) corruptDeletion(err error) error {
	var corrupt *corruptError
	if !errors.As(err, &corrupt) {
		return err
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Reason: metav1.StatusReasonStoreReadError,
		Message: fmt.Sprintf("saw a DELETED event, but object data is corrupt - %v", corrupt),
	}}
}

// timed adds the time of decoding when the watch cache measures its latency.
func (w *watcher) timed(obj runtime.Object, initial bool) runtime.Object {
	if !w.opts.RecordTimestamps || initial {
		return obj
	}
	return &timedEvent{Object: obj, decoded: time.Now()}
}

// timedEvent is an object with the time at which it was decoded. The watch cache unwraps it.
type timedEvent struct {
	runtime.Object
	decoded time.Time
}

var _ storage.WatchEventWithRecordTime = (*timedEvent)(nil)

// GetObjectMeta lets the wrapper pass for the object.
func (t *timedEvent) GetObjectMeta() metav1.Object {
	m, err := meta.Accessor(t.Object)
	if err != nil {
		return nil
	}
	return m
}

// DeepCopyObject implements runtime.Object.
func (t *timedEvent) DeepCopyObject() runtime.Object {
	return &timedEvent{Object: t.Object.DeepCopyObject(), decoded: t.decoded}
}

// RecordTime implements storage.WatchEventWithRecordTime.
func (t *timedEvent) RecordTime() time.Time { return t.decoded }

// Unwrap implements storage.WatchEventWithRecordTime.
func (t *timedEvent) Unwrap() runtime.Object { return t.Object }
