package apiserver

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/store"
)

const (
	applications         = "applications"
	applicationRevisions = "applicationrevisions"

	deleteWorkers = 8
)

// storages makes the storage of each resource: the watch cache over internal/store, and around both what wrap adds.
// Revisions are read seldom and not cached.
type storages struct {
	store *store.Store
	codec runtime.Codec
	wrap  func(schema.GroupResource, storage.Interface) storage.Interface
}

var _ generic.RESTOptionsGetter = (*storages)(nil)

// GetRESTOptions implements generic.RESTOptionsGetter.
func (s *storages) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	config := storagebackend.NewDefaultConfig("", s.codec).ForResource(resource)
	config.EncodeVersioner = v1beta1.SchemeGroupVersion
	return generic.RESTOptions{
		StorageConfig:           config,
		Decorator:               s.decorate,
		ResourcePrefix:          "/" + resource.Group + "/" + resource.Resource,
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: deleteWorkers,
	}, nil
}

func (s *storages) decorate(config *storagebackend.ConfigForResource, prefix string, key func(runtime.Object) (string, error),
	newObject, newList func() runtime.Object, attrs storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	raw := s.store.Storage(store.Resource{
		Group: config.GroupResource.Group, Resource: config.GroupResource.Resource,
		Codec: config.Codec, New: newObject, NewList: newList, Prefix: prefix,
	})
	if config.GroupResource.Resource == applicationRevisions {
		return s.wrap(config.GroupResource, unchanged{raw, s.store}), func() {}, nil
	}
	cached, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: newSharing(raw), Versioner: raw.Versioner(), GroupResource: config.GroupResource,
		EventsHistoryWindow: config.EventsHistoryWindow, ResourcePrefix: prefix,
		KeyFunc: key, NewFunc: newObject, NewListFunc: newList, GetAttrsFunc: attrs,
		IndexerFuncs: triggers, Indexers: indexers, Codec: config.Codec,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make the watch cache of %s: %w", config.GroupResource, err)
	}
	delegator := cacher.NewCacheDelegator(cached, raw)
	var once sync.Once
	stop := func() {
		once.Do(func() {
			delegator.Stop()
			cached.Stop()
		})
	}
	return s.wrap(config.GroupResource, unchanged{delegator, s.store}), stop, nil
}
