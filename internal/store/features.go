package store

import (
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/feature"
)

// FeatureSupport answers for this store where k8s.io/apiserver asks what "the etcd" can do. The watch cache asks a
// global, feature.DefaultFeatureSupportChecker; it must hold a FeatureSupport before the first storage is made, or each
// consistent list passes the cache by and each watch-list fails. The zero value is ready to use.
type FeatureSupport struct {
	// The interface has a method with an unexported type, which only embedding provides. Nothing but the etcd adapter
	// calls that method.
	feature.FeatureSupportChecker
}

var _ feature.FeatureSupportChecker = FeatureSupport{}

// Supports says yes to progress requests, the one feature that the watch cache needs.
func (FeatureSupport) Supports(name storage.Feature) bool {
	return name == storage.RequestWatchProgress
}

// MarkUnsupported does nothing: there is no etcd.
func (FeatureSupport) MarkUnsupported(storage.Feature) {}
