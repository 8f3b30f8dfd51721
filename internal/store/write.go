package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

func (o *objects) tooLarge(size int) error {
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
		"this %s needs %d bytes in the store, %d are the limit", o.res.Resource, size, MaxObject))
}

// Create implements storage.Interface.
func (o *objects) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	k, err := o.key(key, false)
	if err != nil {
		return err
	}
	if version, err := o.versioner.ObjectResourceVersion(obj); err == nil && version != 0 {
		return storage.ErrResourceVersionSetOnCreate
	}
	if err := o.versioner.PrepareObjectForStorage(obj); err != nil {
		return fmt.Errorf("PrepareObjectForStorage failed: %w", err)
	}
	data, err := runtime.Encode(o.res.Codec, obj)
	if err != nil {
		return err
	}
	revision, err := o.create(ctx, k, data, ttl)
	if err != nil || out == nil {
		return err
	}
	return o.decode(data, out, revision)
}

// create writes an object that must not exist. The first try trusts the index, which may be behind.
func (o *objects) create(ctx context.Context, k objectKey, data []byte, ttl uint64) (uint64, error) {
	v, err := o.read(ctx, k, false)
	if err != nil {
		return 0, err
	}
	for {
		if v.live() {
			if v, err = o.read(ctx, k, true); err != nil { // it may have been deleted since
				return 0, err
			}
			if v.live() {
				return 0, storage.NewKeyExistsError(k.storage, 0)
			}
		}
		absent := &objState{}
		if v != nil {
			absent.expect = v.seq
		}
		revision, err := o.write(ctx, k, absent, data, ttl)
		if !errors.Is(err, errLostRace) {
			return revision, err
		}
		if v, err = o.afterLostRace(ctx, k, absent.expect); err != nil {
			return 0, err
		}
	}
}

// afterLostRace reads a key again, after a write that expected a sequence was refused. The answer differs from what was
// expected: the index forgets a tombstone before the stream does, then the leader of the stream names it.
func (o *objects) afterLostRace(ctx context.Context, k objectKey, expected uint64) (*version, error) {
	v, err := o.read(ctx, k, true)
	if err != nil {
		return nil, err
	}
	var known uint64
	if v != nil {
		known = v.seq
	}
	if known != expected {
		return v, nil
	}
	last, err := o.store.last(ctx, k.tail)
	if err != nil {
		return nil, err
	}
	if last == nil {
		return nil, nil
	}
	if err := o.store.index.reach(ctx, last.seq); err != nil {
		return nil, o.store.readFailed(ctx, err)
	}
	return parseVersion(last.seq, last.header, last.data), nil
}

// updater is one GuaranteedUpdate or Delete under way: a state, and how to get a newer one.
type updater struct {
	o              *objects
	key            objectKey
	out            reflect.Value
	ignoreNotFound bool
	expectBroken   bool
	state          *objState
}

// begin takes the state from the caller's suggestion, or from the index. Both may be behind: whatever fails with such a
// state is tried again with a current one.
func (u *updater) begin(ctx context.Context, suggestion runtime.Object) (err error) {
	if suggestion != nil && !u.expectBroken {
		if u.state, err = u.o.stateFrom(suggestion); err != nil {
			return err
		}
		if u.state.rev > 0 {
			return nil
		}
	}
	v, err := u.o.read(ctx, u.key, false)
	if err != nil {
		return err
	}
	if u.state, err = u.o.stateOf(ctx, u.key, v, u.out, u.ignoreNotFound, u.expectBroken); err != nil {
		return u.refresh(ctx)
	}
	return nil
}

// refresh reads the current state.
func (u *updater) refresh(ctx context.Context) error {
	v, err := u.o.read(ctx, u.key, true)
	if err != nil {
		return err
	}
	return u.take(ctx, v)
}

func (u *updater) take(ctx context.Context, v *version) (err error) {
	u.state, err = u.o.stateOf(ctx, u.key, v, u.out, u.ignoreNotFound, u.expectBroken)
	if err == nil {
		u.state.current = true
	}
	return err
}

// failed decides about an error that a state has caused: it stands when the state is current, or when the current state
// is the same one. Nil means that there is a newer state to try.
func (u *updater) failed(ctx context.Context, cause error) error {
	if u.state.current {
		return cause
	}
	before := u.state.rev
	if err := u.refresh(ctx); err != nil {
		return err
	}
	if u.state.rev == before {
		return cause
	}
	return nil
}

// lostRace gets the state that won.
func (u *updater) lostRace(ctx context.Context) error {
	v, err := u.o.afterLostRace(ctx, u.key, u.state.expect)
	if err != nil {
		return err
	}
	return u.take(ctx, v)
}

// GuaranteedUpdate implements storage.Interface.
func (o *objects) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc, cachedExistingObject runtime.Object) error {
	k, err := o.key(key, false)
	if err != nil {
		return err
	}
	v, err := conversion.EnforcePtr(destination)
	if err != nil {
		return fmt.Errorf("unable to convert output object to pointer: %w", err)
	}
	u := &updater{o: o, key: k, out: v, ignoreNotFound: ignoreNotFound}
	if err := u.begin(ctx, cachedExistingObject); err != nil {
		return err
	}
	for {
		done, err := u.update(ctx, destination, preconditions, tryUpdate)
		if done || err != nil {
			return err
		}
	}
}

// update makes one attempt. Neither done nor an error means that there is a newer state to try.
func (u *updater) update(ctx context.Context, destination runtime.Object, preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc) (done bool, err error) {
	if err := preconditions.Check(u.key.storage, u.state.obj); err != nil {
		return false, u.failed(ctx, err)
	}
	updated, ttl, err := u.try(tryUpdate)
	if err != nil {
		return false, u.failed(ctx, err)
	}
	data, err := runtime.Encode(u.o.res.Codec, updated)
	if err != nil {
		return false, err
	}
	if !u.state.stale && bytes.Equal(data, u.state.data) {
		return u.unchanged(ctx, data, destination)
	}
	revision, err := u.o.write(ctx, u.key, u.state, data, ttl)
	if errors.Is(err, errLostRace) {
		return false, u.lostRace(ctx)
	}
	if err != nil {
		return false, err
	}
	return true, u.o.decode(data, destination, revision)
}

func (u *updater) try(tryUpdate storage.UpdateFunc) (runtime.Object, uint64, error) {
	updated, ttlPtr, err := tryUpdate(u.state.obj, u.state.meta)
	if err != nil {
		return nil, 0, err
	}
	if err := u.o.versioner.PrepareObjectForStorage(updated); err != nil {
		return nil, 0, fmt.Errorf("PrepareObjectForStorage failed: %w", err)
	}
	if ttlPtr == nil {
		return updated, 0, nil
	}
	return updated, *ttlPtr, nil
}

// unchanged ends an update that changes nothing without a write, once the state is known to be current.
func (u *updater) unchanged(ctx context.Context, data []byte, destination runtime.Object) (done bool, err error) {
	if !u.state.current {
		if err := u.refresh(ctx); err != nil {
			return false, err
		}
		if u.state.stale || !bytes.Equal(data, u.state.data) {
			return false, nil
		}
	}
	return true, u.o.decode(u.state.data, destination, u.state.rev)
}
