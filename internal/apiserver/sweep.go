package apiserver

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/klog/v2"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// sweeper finishes what a write could not: it looks again for the lattice of applications that have none when bindings
// change, and removes what a crash or a lost namespace left behind. Every replica sweeps; all that it does may be done
// twice.
type sweeper struct {
	applications *genericregistry.Store
	revisions    *revisions
	bindings     Bindings
	cluster      *cluster
	every        time.Duration

	// suspects are what looked orphaned in the last sweep. Nothing is removed that was not seen twice, a sweep apart: a
	// revision is older than its application for a moment, and an informer may be behind.
	suspects map[types.UID]bool
}

const (
	sweepEvery = 10 * time.Minute
	sweepPage  = 500
	// retryUnresolved is how soon a look for lattices that could not be completed is repeated.
	retryUnresolved = 2 * time.Second
)

func (s *sweeper) run(ctx context.Context) {
	sweep := time.NewTicker(s.every)
	defer sweep.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		// Before the look, so that a change during it is not missed.
		changed := s.bindings.Changed()
		select {
		case <-ctx.Done():
			return
		case <-changed:
			// Once more afterwards: a write may have asked for the old bindings just before and be stored just after.
			_ = s.resolve(ctx)
			retry.Reset(retryUnresolved)
		case <-retry.C:
			if err := s.resolve(ctx); err != nil {
				retry.Reset(retryUnresolved)
			}
		case <-sweep.C:
			s.sweep(ctx)
			retry.Reset(0)
		}
	}
}

// resolve writes each application without a lattice, or with an unmet wish for another, once more; the guard around the
// store looks for its lattice, and what does not change is not written.
func (s *sweeper) resolve(ctx context.Context) error {
	// Not from the cache as it stands, which may not have what was written before the bindings changed.
	list, err := s.list(ctx, "")
	if err != nil {
		return err
	}
	var failed error
	for i := range list.Items {
		app := &list.Items[i]
		wanted := wantedLattice(app)
		if app.Status.Lattice != "" && (wanted == "" || wanted == app.Status.Lattice) {
			continue
		}
		same := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
			return old.DeepCopyObject(), nil
		})
		in := request.WithNamespace(ctx, app.Namespace)
		_, _, err := s.applications.Update(in, app.Name, same, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc,
			false, &metav1.UpdateOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			failed = err
			klog.FromContext(ctx).V(2).Info("The lattice of an application was not looked for; it will be again",
				"namespace", app.Namespace, "name", app.Name, "err", err)
		}
	}
	return failed
}

// list lists all applications, as a client does with a resource version.
func (s *sweeper) list(ctx context.Context, resourceVersion string) (*v1beta1.ApplicationList, error) {
	found, err := s.applications.List(ctx, &internalversion.ListOptions{ResourceVersion: resourceVersion})
	if err != nil {
		return nil, err
	}
	return found.(*v1beta1.ApplicationList), nil
}

func (s *sweeper) sweep(ctx context.Context) {
	seen := map[types.UID]bool{}
	s.sweepRevisions(ctx, seen)
	s.sweepNamespaces(ctx, seen)
	s.suspects = seen
}

// sweepRevisions removes revisions whose application is gone.
func (s *sweeper) sweepRevisions(ctx context.Context, seen map[types.UID]bool) {
	for next := ""; ; {
		page, err := s.revisions.page(ctx, sweepPage, next)
		if err != nil {
			return // NATS is away, or the page is too old: next time
		}
		for i := range page.Items {
			revision := &page.Items[i]
			if !s.orphaned(ctx, revision) {
				continue
			}
			seen[revision.UID] = true
			if s.suspects[revision.UID] {
				s.revisions.remove(ctx, revision)
			}
		}
		if next = page.Continue; next == "" {
			return
		}
	}
}

func (s *sweeper) orphaned(ctx context.Context, revision *v1beta1.ApplicationRevision) bool {
	in := request.WithNamespace(ctx, revision.Namespace)
	found, err := s.applications.Get(in, revision.Application, &metav1.GetOptions{ResourceVersion: "0"})
	if apierrors.IsNotFound(err) {
		// The cache may be behind the revision.
		found, err = s.applications.Get(in, revision.Application, &metav1.GetOptions{})
	}
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	return found.(*v1beta1.Application).UID != applicationUID(revision)
}

// sweepNamespaces deletes applications whose namespace is gone: it was deleted while this API could not be asked.
func (s *sweeper) sweepNamespaces(ctx context.Context, seen map[types.UID]bool) {
	if s.cluster == nil {
		return
	}
	list, err := s.list(ctx, "0")
	if err != nil {
		return
	}
	for i := range list.Items {
		app := &list.Items[i]
		if !s.cluster.lost(ctx, app.Namespace, app.Annotations[v1beta1.NamespaceUIDAnnotation]) {
			continue
		}
		seen[app.UID] = true
		if !s.suspects[app.UID] {
			continue
		}
		options := metav1.NewDeleteOptions(0)
		options.Preconditions = metav1.NewUIDPreconditions(string(app.UID))
		in := request.WithNamespace(ctx, app.Namespace)
		if _, _, err := s.applications.Delete(in, app.Name, rest.ValidateAllObjectFunc, options); err != nil {
			klog.FromContext(ctx).Error(err, "An application whose namespace is gone was not deleted; the next sweep will",
				"namespace", app.Namespace, "name", app.Name)
		}
	}
}
