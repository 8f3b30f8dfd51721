package apiserver

import (
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/storage"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/trellis-operator/trellis/internal/store"
)

// unchanged is a storage that answers nothing while the store is another one than was served. The watch cache would go on
// to answer from its memory, which is right while NATS is away and wrong when what it remembers is no longer the truth.
type unchanged struct {
	storage.Interface
	store *store.Store
}

var _ storage.Interface = unchanged{}

// Create implements storage.Interface.
func (u unchanged) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	if err := u.store.Changed(); err != nil {
		return err
	}
	return u.Interface.Create(ctx, key, obj, out, ttl)
}

// Delete implements storage.Interface.
func (u unchanged) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, cached runtime.Object, opts storage.DeleteOptions,
) error {
	if err := u.store.Changed(); err != nil {
		return err
	}
	return u.Interface.Delete(ctx, key, out, preconditions, validate, cached, opts)
}

// Watch implements storage.Interface. A watch from a revision that the store has not reached would wait in silence for
// ever: the revision is from a store that was longer than the one which was accepted since.
func (u unchanged) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	if err := u.store.Changed(); err != nil {
		return nil, err
	}
	from, err := u.Interface.Versioner().ParseResourceVersion(opts.ResourceVersion)
	if err == nil && from > u.store.Served().Revision {
		if now, err := u.store.Current(ctx); err == nil && from > now {
			return nil, apierrors.NewResourceExpired("The resourceVersion for the provided watch is from a store that was replaced.")
		}
	}
	return u.Interface.Watch(ctx, key, opts)
}

// Get implements storage.Interface.
func (u unchanged) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	if err := u.store.Changed(); err != nil {
		return err
	}
	return u.Interface.Get(ctx, key, opts, out)
}

// GetList implements storage.Interface.
func (u unchanged) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	if err := u.store.Changed(); err != nil {
		return err
	}
	return u.Interface.GetList(ctx, key, opts, list)
}

// GuaranteedUpdate implements storage.Interface.
func (u unchanged) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc, cached runtime.Object,
) error {
	if err := u.store.Changed(); err != nil {
		return err
	}
	return u.Interface.GuaranteedUpdate(ctx, key, out, ignoreNotFound, preconditions, tryUpdate, cached)
}

// changedCheck is the readiness check's name. Pods are probed without it (/readyz?exclude=store-changed): a server that
// says why it serves nothing must stay reachable.
const changedCheck = "store-changed"

func storeCheck(s *store.Store) healthz.HealthChecker {
	return healthz.NamedCheck(changedCheck, func(*http.Request) error { return s.Changed() })
}
