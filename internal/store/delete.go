package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// Delete implements storage.Interface.
func (o *objects) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validateDeletion storage.ValidateObjectFunc, cachedExistingObject runtime.Object, opts storage.DeleteOptions) error {
	k, err := o.key(key, false)
	if err != nil {
		return err
	}
	v, err := conversion.EnforcePtr(out)
	if err != nil {
		return fmt.Errorf("unable to convert output object to pointer: %w", err)
	}
	u := &updater{o: o, key: k, out: v, expectBroken: opts.ExpectTransformOrDecodeError}
	if err := u.begin(ctx, cachedExistingObject); err != nil {
		return err
	}
	for {
		done, err := u.delete(ctx, out, preconditions, validateDeletion)
		if done || err != nil {
			return err
		}
	}
}

// delete makes one attempt. Neither done nor an error means that there is a newer state to try.
func (u *updater) delete(ctx context.Context, out runtime.Object, preconditions *storage.Preconditions, validate storage.ValidateObjectFunc) (done bool, err error) {
	if preconditions != nil {
		if err := preconditions.Check(u.key.storage, u.state.obj); err != nil {
			return false, u.failed(ctx, err)
		}
	}
	if err := validate(ctx, u.state.obj); err != nil {
		return false, u.failed(ctx, err)
	}
	raw, err := u.lastBytes(ctx)
	if err != nil {
		return false, err
	}
	revision, err := u.o.store.publish(ctx, put{
		tail: u.key.tail, key: u.key.index, expect: u.state.expect, body: raw,
		header: objectHeader(u.state.rev, true, time.Time{}),
	})
	if errors.Is(err, errLostRace) {
		return false, u.lostRace(ctx)
	}
	if err != nil {
		return false, err
	}
	if u.expectBroken {
		return true, nil
	}
	return true, u.o.decode(u.state.data, out, revision)
}

// lastBytes returns the stored form of the state, for the tombstone. A state that the caller suggested has none; then
// the index does, unless it is behind.
func (u *updater) lastBytes(ctx context.Context) ([]byte, error) {
	if u.state.raw != nil {
		return u.state.raw, nil
	}
	found := u.o.store.index.find(u.key.index, func(v *version) bool { return v.seq == u.state.rev })
	if found.live() {
		return u.o.store.body(ctx, found)
	}
	raw, err := u.o.transformer.TransformToStorage(ctx, u.state.data, authenticated(u.key.storage))
	if err != nil {
		return nil, storage.NewInternalError(err)
	}
	return raw, nil
}

// reap deletes objects whose time is over. Every replica tries; all but one lose the race.
func (s *Store) reap(ctx context.Context) {
	for {
		next, due := s.index.expired(time.Now())
		for _, k := range due {
			s.expire(ctx, k)
		}
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// expiry is an object whose time is over.
type expiry struct {
	key, tail string
	version   *version
}

const reapEvery = 250 * time.Millisecond

// expired returns what is over and when to ask again.
func (x *index) expired(now time.Time) (time.Duration, []expiry) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var due []expiry
	for h, at := range x.expiring {
		if !now.Before(at) {
			due = append(due, expiry{key: h.key, tail: h.tail, version: h.newest()})
		}
	}
	return reapEvery, due
}

func (s *Store) expire(ctx context.Context, e expiry) {
	raw, err := s.body(ctx, e.version)
	if err != nil {
		return // the next round tries again
	}
	// A lost race means that it is gone or was renewed; any other failure is repaired by the next round.
	_, _ = s.publish(ctx, put{tail: e.tail, key: e.key, expect: e.version.seq, body: raw,
		header: objectHeader(e.version.seq, true, time.Time{})})
}
