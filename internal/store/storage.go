package store

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
)

// MaxObject is the size of the largest object that is stored, encoded. A larger one is refused with status 413.
const MaxObject = 512 << 10

// Resource says what a storage holds.
type Resource struct {
	Group, Resource string
	// Codec encodes the stored form.
	Codec runtime.Codec
	// New and NewList make empty objects.
	New, NewList func() runtime.Object
	// Transformer encrypts what is stored. Default: identity.
	Transformer value.Transformer
	// Prefix is what every storage key begins with. Default: "/<group>/<resource>/", without the group when it is empty.
	Prefix string
	// UnsafeDelete reports objects that can't be read one by one, so that an administrator can delete them
	// (feature AllowUnsafeMalformedObjectDeletion).
	UnsafeDelete bool
}

func (r *Resource) complete() {
	if r.Transformer == nil {
		r.Transformer = identity.NewEncryptCheckTransformer()
	}
	if r.UnsafeDelete {
		r.Transformer, r.Codec = corruptTransformer{r.Transformer}, corruptCodec{r.Codec}
	}
	if r.Prefix == "" {
		r.Prefix = r.Group + "/" + r.Resource
	}
	r.Prefix = "/" + strings.Trim(r.Prefix, "/") + "/"
}

func (r *Resource) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Resource}
}

// objects is the storage of one resource.
type objects struct {
	store       *Store
	res         Resource
	versioner   storage.Versioner
	transformer value.Transformer
	root        string // of the keys in the index
	sizes       atomic.Pointer[storage.KeysFunc]
}

var _ storage.Interface = (*objects)(nil)

// Storage returns the storage of one resource. It lives as long as the store.
func (s *Store) Storage(r Resource) storage.Interface { return s.newObjects(r) }

func (s *Store) newObjects(r Resource) *objects {
	r.complete()
	o := &objects{store: s, res: r, versioner: storage.APIObjectVersioner{}, transformer: r.Transformer}
	o.root = location{cluster: s.cfg.Cluster, resource: r.groupResource().String()}.key()
	return o
}

// Versioner implements storage.Interface.
func (o *objects) Versioner() storage.Versioner { return o.versioner }

// objectKey is one key in its three forms.
type objectKey struct {
	storage string // as Kubernetes names it, in errors and as authenticated data
	index   string
	tail    string // of the subject
}

// key checks a storage key and returns its forms. A recursive key is a prefix and has no tail.
func (o *objects) key(key string, recursive bool) (objectKey, error) {
	prepared, err := storage.PrepareKey(o.res.Prefix, key, recursive)
	if err != nil {
		return objectKey{}, err
	}
	path := strings.TrimPrefix(prepared, o.res.Prefix)
	k := objectKey{storage: prepared, index: o.root + path}
	if recursive {
		return k, nil
	}
	at := location{cluster: o.store.cfg.Cluster, resource: o.res.groupResource().String(), path: path}
	if k.tail, err = tailOf(at); err != nil {
		return objectKey{}, apierrors.NewBadRequest(err.Error())
	}
	return k, nil
}

// storageKey is the storage form of a key of the index.
func (o *objects) storageKey(index string) string {
	return o.res.Prefix + strings.TrimPrefix(index, o.root)
}

// prefixEnd is the first string behind all that begin with a prefix, which is not empty and ends with a plain byte.
func prefixEnd(prefix string) string {
	return prefix[:len(prefix)-1] + string([]byte{prefix[len(prefix)-1] + 1})
}

// ReadinessCheck implements storage.Interface.
func (o *objects) ReadinessCheck() error {
	select {
	case <-o.store.synced:
		return o.store.mark.problem()
	default:
		return storage.ErrStorageNotReady
	}
}

// GetCurrentResourceVersion implements storage.Interface. It also sends progress notes: the watch cache asks for the
// revision in order to wait for it.
func (o *objects) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	revision, err := o.store.current(ctx)
	if err != nil {
		return 0, err
	}
	o.store.index.poke()
	return revision, nil
}

// RequestWatchProgress implements storage.Interface.
func (o *objects) RequestWatchProgress(context.Context) error {
	o.store.index.poke()
	return nil
}

// CompactRevision implements storage.Interface.
func (o *objects) CompactRevision() int64 {
	_, compacted := o.store.index.where()
	return int64(compacted)
}

// EnableResourceSizeEstimation implements storage.Interface. The index knows all sizes, the function is only taken as
// the wish to see them.
func (o *objects) EnableResourceSizeEstimation(keys storage.KeysFunc) error {
	if keys == nil {
		return fmt.Errorf("the function that returns the keys is missing")
	}
	if !o.sizes.CompareAndSwap(nil, &keys) {
		return fmt.Errorf("the estimation of sizes is enabled already")
	}
	return nil
}

// Stats implements storage.Interface.
func (o *objects) Stats(ctx context.Context) (storage.Stats, error) {
	if _, err := o.store.current(ctx); err != nil {
		return storage.Stats{}, err
	}
	items, _, _ := o.store.index.scan(o.root, prefixEnd(o.root), 0)
	out := storage.Stats{ObjectCount: int64(len(items))}
	if o.sizes.Load() == nil || len(items) == 0 {
		return out, nil
	}
	for _, it := range items {
		out.EstimatedAverageObjectSizeBytes += int64(it.size)
	}
	out.EstimatedAverageObjectSizeBytes /= int64(len(items))
	return out, nil
}
