package store

import (
	"context"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// lister is one GetList under way.
type lister struct {
	o       *objects
	opts    storage.ListOptions
	key     objectKey
	items   reflect.Value // the slice to fill
	newItem func() runtime.Object
	errs    listErrors

	at      uint64 // the revision of the list
	total   int    // objects from the start key on
	lastKey string
	more    bool
}

// GetList implements storage.Interface.
func (o *objects) GetList(ctx context.Context, key string, opts storage.ListOptions, listObj runtime.Object) error {
	k, err := o.key(key, opts.Recursive)
	if err != nil {
		return err
	}
	ptr, err := meta.GetItemsPtr(listObj)
	if err != nil {
		return err
	}
	v, err := conversion.EnforcePtr(ptr)
	if err != nil || v.Kind() != reflect.Slice {
		return fmt.Errorf("need ptr to slice: %w", err)
	}
	l := &lister{o: o, opts: opts, key: k, items: v, newItem: newItemFunc(listObj, v)}
	l.errs.collect = o.res.UnsafeDelete
	found, err := l.find(ctx)
	if err != nil {
		return err
	}
	if err := l.fill(ctx, found); err != nil {
		return err
	}
	return l.finish(listObj)
}

// find returns the versions to list, from the start key on, and sets the revision.
func (l *lister) find(ctx context.Context) ([]item, error) {
	exact, start, err := storage.ValidateListOptions(l.key.storage, l.o.versioner, l.opts)
	if err != nil {
		return nil, err
	}
	paging := len(l.opts.Predicate.Continue) > 0
	switch {
	case exact > 0:
		err = l.o.atRevision(ctx, uint64(exact))
	case l.opts.Recursive && paging:
		err = l.o.atRevision(ctx, 0) // a token of an expired list goes on with the newest state
	default:
		err = l.o.atLeast(ctx, l.opts.ResourceVersion)
	}
	if err != nil {
		return nil, err
	}
	from, to := l.key.index, l.key.index+"\x00"
	if l.opts.Recursive {
		to = prefixEnd(l.key.index)
	}
	if start != "" {
		from = l.o.root + start[len(l.o.res.Prefix):]
	}
	found, at, ok := l.o.store.index.scan(from, to, uint64(exact))
	if !ok {
		return nil, l.expired(paging, start)
	}
	l.at, l.total = at, len(found)
	return found, nil
}

func (l *lister) expired(paging bool, start string) error {
	if !paging {
		return apierrors.NewResourceExpired(expiredList)
	}
	// Revision -1 in a token means "go on with the newest state".
	token, err := storage.EncodeContinue(start, l.key.storage, -1)
	if err != nil {
		return apierrors.NewResourceExpired(expiredList)
	}
	status := apierrors.NewResourceExpired(expiredContinue)
	status.ErrStatus.ListMeta.Continue = token
	return status
}

// fill decodes what matches, up to the limit.
func (l *lister) fill(ctx context.Context, found []item) error {
	limit := l.opts.Predicate.Limit
	l.grow(len(found))
	for i, it := range found {
		if limit > 0 && int64(l.items.Len()) >= limit {
			l.more = true
			break
		}
		l.lastKey = l.o.storageKey(it.key)
		if err := ctx.Err(); err != nil {
			return storage.NewTimeoutError(l.lastKey, "request did not complete within requested timeout")
		}
		obj, err := l.decode(ctx, it)
		if err != nil {
			if l.errs.add(l.lastKey, err) {
				break
			}
			continue
		}
		if matched, err := l.opts.Predicate.Matches(obj); err == nil && matched {
			l.items.Set(reflect.Append(l.items, reflect.ValueOf(obj).Elem()))
		}
		found[i].version = nil // a long list takes seconds: let go of what was read
	}
	return l.errs.result(l.o.res.groupResource())
}

// grow makes room for what is likely to match.
func (l *lister) grow(n int) {
	if !l.opts.Predicate.Empty() {
		n = min(n, 2048)
	}
	if limit := l.opts.Predicate.Limit; limit > 0 {
		n = int(min(int64(n), limit))
	}
	if n > l.items.Cap() {
		l.items.Set(reflect.MakeSlice(l.items.Type(), 0, n))
	}
}

func (l *lister) decode(ctx context.Context, it item) (runtime.Object, error) {
	key := l.o.storageKey(it.key)
	data, _, err := l.o.plain(ctx, key, it.version)
	if err != nil {
		return nil, err
	}
	obj, _, err := l.o.res.Codec.Decode(data, nil, l.newItem())
	if err != nil {
		return nil, err
	}
	_ = l.o.versioner.UpdateObject(obj, it.seq) // an object without metadata keeps none
	return obj, nil
}

// plain returns the decrypted bytes of a version.
func (o *objects) plain(ctx context.Context, key string, v *version) (data []byte, stale bool, err error) {
	raw, err := o.store.body(ctx, v)
	if err != nil {
		return nil, false, err
	}
	if v.broken != nil {
		return nil, false, storage.NewInternalError(v.broken)
	}
	data, stale, err = o.transformer.TransformFromStorage(ctx, raw, authenticated(key))
	if err != nil {
		return nil, false, storage.NewInternalError(fmt.Errorf("unable to transform key %q: %w", key, err))
	}
	return data, stale, nil
}

// finish sets revision and continue token.
func (l *lister) finish(listObj runtime.Object) error {
	if l.items.IsNil() {
		l.items.Set(reflect.MakeSlice(l.items.Type(), 0, 0)) // "items": [], never null
	}
	token, remaining, err := storage.PrepareContinueToken(l.lastKey, l.key.storage, int64(l.at), int64(l.total), l.more, l.opts)
	if err != nil {
		return err
	}
	return l.o.versioner.UpdateList(listObj, l.at, token, remaining)
}

func newItemFunc(listObj runtime.Object, items reflect.Value) func() runtime.Object {
	// Items of an unstructured list keep its version.
	if list, ok := listObj.(*unstructured.UnstructuredList); ok {
		if apiVersion := list.GetAPIVersion(); apiVersion != "" {
			return func() runtime.Object {
				return &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion}}
			}
		}
	}
	elem := items.Type().Elem()
	return func() runtime.Object { return reflect.New(elem).Interface().(runtime.Object) }
}
