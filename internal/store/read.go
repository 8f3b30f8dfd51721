package store

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// Get implements storage.Interface.
func (o *objects) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	k, err := o.key(key, false)
	if err != nil {
		return err
	}
	if err := o.atLeast(ctx, opts.ResourceVersion); err != nil {
		return err
	}
	v, _ := o.store.index.get(k.index)
	if !v.live() {
		if opts.IgnoreNotFound {
			return runtime.SetZeroValue(out)
		}
		return storage.NewKeyNotFoundError(k.storage, 0)
	}
	err = o.open(ctx, k, v, &objState{obj: out})
	if o.res.UnsafeDelete {
		return asCorrupt(k.storage, err)
	}
	return err
}

// atLeast waits until the index may answer a read with a resource version: "" is a consistent read, "0" any state but
// the newest that can be had, and a number a lower bound.
func (o *objects) atLeast(ctx context.Context, resourceVersion string) error {
	wanted, err := o.versioner.ParseResourceVersion(resourceVersion)
	if err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %v", err))
	}
	if err := o.store.usable(ctx); err != nil {
		return err
	}
	if position, _ := o.store.index.where(); wanted > 0 && wanted <= position {
		return nil
	}
	if resourceVersion != "" && wanted == 0 {
		return o.store.tryCurrent(ctx)
	}
	return o.atRevision(ctx, wanted)
}

// anyWait is how long a read that takes any revision waits for the newest.
const anyWait = time.Second

// tryCurrent is current for reads that also take an older revision: without an answer they go on.
func (s *Store) tryCurrent(ctx context.Context) error {
	if !s.link.connected() {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, anyWait)
	defer cancel()
	_, err := s.current(bounded)
	if isUnavailable(err) || bounded.Err() != nil && ctx.Err() == nil {
		return s.mark.problem()
	}
	return err
}

// atRevision makes a consistent read and checks that a revision exists; 0 always does.
func (o *objects) atRevision(ctx context.Context, wanted uint64) error {
	if position, _ := o.store.index.where(); wanted > 0 && wanted <= position {
		return o.store.usable(ctx)
	}
	last, err := o.store.current(ctx)
	if err != nil {
		return err
	}
	if wanted > last {
		return storage.NewTooLargeResourceVersionError(wanted, last, 0)
	}
	return nil
}

// body returns the stored bytes of a version, from memory or from the stream.
func (s *Store) body(ctx context.Context, v *version) ([]byte, error) {
	if v.size == 0 {
		return nil, nil
	}
	if v.body != nil {
		return v.body.plain()
	}
	found, err := s.api.at(ctx, v.seq)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, apierrors.NewResourceExpired(fmt.Sprintf("revision %d was compacted", v.seq))
	}
	return found.data, nil
}
