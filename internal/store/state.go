package store

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// authenticated binds what a transformer stores to its key.
type authenticated string

func (a authenticated) AuthenticatedData() []byte { return []byte(a) }

// objState is an object as a writer sees it.
type objState struct {
	obj     runtime.Object // nil when it can't be read and that was expected
	meta    storage.ResponseMeta
	rev     uint64 // 0: there is none
	expect  uint64 // the newest sequence of its subject: rev, or that of a tombstone, or 0
	data    []byte // decrypted
	raw     []byte // as stored
	stale   bool   // the transformer wants it rewritten
	current bool   // known to be the newest when the writer began
}

// read returns the state of a key. A fresh read asks the leader of the stream first.
func (o *objects) read(ctx context.Context, k objectKey, fresh bool) (*version, error) {
	if fresh {
		if _, err := o.store.current(ctx); err != nil {
			return nil, err
		}
	} else if err := o.store.usable(ctx); err != nil {
		return nil, err
	}
	v, _ := o.store.index.get(k.index)
	return v, nil
}

// stateOf decodes a version into an objState; v may be nil or a tombstone.
func (o *objects) stateOf(ctx context.Context, k objectKey, v *version, out reflect.Value, ignoreNotFound, expectBroken bool) (*objState, error) {
	state := &objState{obj: newLike(out)}
	if v != nil {
		state.expect = v.seq
	}
	if !v.live() {
		if !ignoreNotFound {
			return nil, storage.NewKeyNotFoundError(k.storage, 0)
		}
		return state, runtime.SetZeroValue(state.obj)
	}
	state.rev = v.seq
	state.meta.ResourceVersion = v.seq
	err := o.open(ctx, k, v, state)
	switch {
	case err == nil && expectBroken:
		return nil, storage.NewInvalidObjError(k.storage,
			"unsafe deletion is not allowed because the object is decodable from storage")
	case err != nil && expectBroken && !isUnavailable(err):
		state.obj = nil
		return state, nil
	}
	return state, err
}

// open fetches, transforms and decodes a version into a state.
func (o *objects) open(ctx context.Context, k objectKey, v *version, state *objState) (err error) {
	if state.raw, err = o.store.body(ctx, v); err != nil {
		return err
	}
	if v.broken != nil {
		return storage.NewInternalError(v.broken)
	}
	state.data, state.stale, err = o.transformer.TransformFromStorage(ctx, state.raw, authenticated(k.storage))
	if err != nil {
		return storage.NewInternalError(err)
	}
	return o.decode(state.data, state.obj, v.seq)
}

// decode fills an object and sets its revision.
func (o *objects) decode(data []byte, into runtime.Object, revision uint64) error {
	if _, err := conversion.EnforcePtr(into); err != nil {
		return fmt.Errorf("unable to convert output object to pointer: %w", err)
	}
	if _, _, err := o.res.Codec.Decode(data, nil, into); err != nil {
		return err
	}
	// An object without metadata keeps none.
	_ = o.versioner.UpdateObject(into, revision)
	return nil
}

// stateFrom makes a state from an object that the caller has, usually from the watch cache.
func (o *objects) stateFrom(obj runtime.Object) (*objState, error) {
	revision, err := o.versioner.ObjectResourceVersion(obj)
	if err != nil {
		return nil, fmt.Errorf("couldn't get resource version: %w", err)
	}
	state := &objState{obj: obj, rev: revision, expect: revision, meta: storage.ResponseMeta{ResourceVersion: revision}}
	// The revision is not part of what is stored.
	if err := o.versioner.PrepareObjectForStorage(obj); err != nil {
		return nil, fmt.Errorf("PrepareObjectForStorage failed: %w", err)
	}
	if state.data, err = runtime.Encode(o.res.Codec, obj); err != nil {
		return nil, err
	}
	_ = o.versioner.UpdateObject(obj, revision)
	return state, nil
}

func newLike(v reflect.Value) runtime.Object {
	if u, ok := v.Addr().Interface().(runtime.Unstructured); ok {
		return u.NewEmptyInstance()
	}
	return reflect.New(v.Type()).Interface().(runtime.Object)
}

// write publishes a state of an object and returns its revision. errLostRace means that state.expect was not the newest.
func (o *objects) write(ctx context.Context, k objectKey, from *objState, data []byte, ttl uint64) (uint64, error) {
	raw, err := o.transformer.TransformToStorage(ctx, data, authenticated(k.storage))
	if err != nil {
		return 0, storage.NewInternalError(err)
	}
	if len(raw) > MaxObject {
		return 0, o.tooLarge(len(raw))
	}
	var expires time.Time
	if ttl > 0 {
		expires = time.Now().Add(time.Duration(ttl) * time.Second)
	}
	return o.store.publish(ctx, put{
		tail: k.tail, key: k.index, expect: from.expect, body: raw, header: objectHeader(from.rev, false, expires),
	})
}
