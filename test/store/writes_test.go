package store

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"
)

// create, update and remove make one write through the storage, and note what it was made on and its revision.

func create(ctx context.Context, r *replica, w *write, ballast []byte) error {
	out := &example.Pod{}
	if err := r.pods.Create(ctx, keyOf(w.name), makePod(w.name, w.id, ballast), out, 0); err != nil {
		return err
	}
	w.revision = revisionOf(out)
	return nil
}

func update(ctx context.Context, r *replica, w *write, ballast []byte) error {
	out := &example.Pod{}
	err := r.pods.GuaranteedUpdate(ctx, keyOf(w.name), out, true, nil, storage.SimpleUpdate(
		func(found runtime.Object) (runtime.Object, error) {
			w.base = writeOf(found)
			return makePod(w.name, w.id, ballast), nil
		}), nil)
	if err != nil {
		return err
	}
	w.revision = revisionOf(out)
	return nil
}

func remove(ctx context.Context, r *replica, w *write) error {
	w.deletes = true
	out := &example.Pod{}
	err := r.pods.Delete(ctx, keyOf(w.name), out, nil, func(_ context.Context, found runtime.Object) error {
		w.base = writeOf(found)
		return nil
	}, nil, storage.DeleteOptions{})
	if err != nil {
		return err
	}
	w.revision = revisionOf(out)
	return nil
}
