package apiserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// errNoRevision says that an application has no revision of a name.
var errNoRevision = errors.New("there is no such revision of the application")

// revisions write the history of applications. A revision never changes; it is keyed namespace/application/version, so
// that the history of one application is one range of the store.
type revisions struct {
	storage storage.Interface
	clock   clock.PassiveClock
	keep    int
}

// get returns a revision of this very application; one of a namesake that is gone does not count.
func (r *revisions) get(ctx context.Context, app *v1beta1.Application, version string) (*v1beta1.ApplicationRevision, error) {
	found := &v1beta1.ApplicationRevision{}
	err := r.storage.Get(ctx, revisionKey(app.Namespace, app.Name, version), storage.GetOptions{}, found)
	switch {
	case storage.IsNotFound(err):
		return nil, errNoRevision
	case err != nil:
		return nil, err
	case applicationUID(found) != app.UID:
		return nil, errNoRevision
	}
	return found, nil
}

// write stores the spec of an application as the revision that its status names.
func (r *revisions) write(ctx context.Context, once *attempt, app *v1beta1.Application, digest string) error {
	revision := r.revisionOf(app, digest)
	key := revisionKey(app.Namespace, app.Name, revision.Version)
	err := r.storage.Create(ctx, key, revision, &v1beta1.ApplicationRevision{}, 0)
	if !storage.IsExist(err) {
		return err
	}
	// There is one: ours of an earlier try, that of a namesake which is gone, or a faster writer's.
	return r.storage.GuaranteedUpdate(ctx, key, &v1beta1.ApplicationRevision{}, false, nil,
		func(input runtime.Object, _ storage.ResponseMeta) (runtime.Object, *uint64, error) {
			found := input.(*v1beta1.ApplicationRevision)
			if applicationUID(found) != app.UID {
				return r.revisionOf(app, digest), nil, r.mayReplace(ctx, once, app, found)
			}
			if found.Digest != digest {
				return nil, nil, apierrors.NewConflict(v1beta1.Resource(applications), app.Name,
					fmt.Errorf("version %q was stored with other content at the same time", revision.Version))
			}
			return found, nil, nil
		}, nil)
}

// importedAtOnce is how young the revision of an application that does not exist must be to be taken for one that another
// replica is about to create.
const importedAtOnce = 10 * time.Second

// mayReplace says no when the application of a revision is there: a creation that will be refused because of it must not
// take its history away. Replicas that take over from wadm create the same applications at once; there, the first to write
// the revision goes on, so that versions are written in their order.
func (r *revisions) mayReplace(ctx context.Context, once *attempt, app *v1beta1.Application, found *v1beta1.ApplicationRevision) error {
	if once.stored == nil {
		return nil // app is the one that is there
	}
	there, err := once.stored(ctx)
	switch {
	case err != nil:
		return err
	case there == app.UID:
		return nil
	case there != "" && there == applicationUID(found):
		return apierrors.NewAlreadyExists(v1beta1.Resource(applications), app.Name)
	case importing(ctx, app) && r.clock.Since(found.CreationTimestamp.Time) < importedAtOnce:
		return apierrors.NewConflict(v1beta1.Resource(applications), app.Name, errors.New("another replica is about to create it"))
	}
	return nil
}

// keepOwn writes the revision of a new application once more if a creation at the same time, which came second, has
// replaced it. A version that was generated is nobody else's.
func (r *revisions) keepOwn(ctx context.Context, once *attempt, app *v1beta1.Application) {
	_, err := r.get(ctx, app, app.Status.Version)
	if errors.Is(err, errNoRevision) {
		var digest string
		if digest, err = manifest.Digest(&app.Spec); err == nil {
			err = r.write(ctx, once, app, digest)
		}
	}
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Whether the history of a new application is complete was not established",
			"namespace", app.Namespace, "name", app.Name, "err", err)
	}
}

func (r *revisions) revisionOf(app *v1beta1.Application, digest string) *v1beta1.ApplicationRevision {
	return &v1beta1.ApplicationRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app.Namespace, Name: revisionName(app.Name, app.Status.Version), UID: uuid.NewUUID(),
			CreationTimestamp: metav1.NewTime(r.clock.Now().Truncate(1e9)), Generation: 1,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1beta1.SchemeGroupVersion.String(), Kind: "Application", Name: app.Name, UID: app.UID,
			}},
		},
		Application: app.Name, Version: app.Status.Version, Digest: digest,
		ManifestAnnotations: manifestAnnotations(app), ManifestLabels: app.Labels,
		Spec: *app.Spec.DeepCopy(),
	}
}

// trim removes the oldest revisions beyond the limit, never one that is current, deployed or meant to be.
func (r *revisions) trim(ctx context.Context, app *v1beta1.Application) {
	all, err := r.list(ctx, app)
	if err != nil {
		klog.FromContext(ctx).V(2).Info("The history of an application was not trimmed; its next version will",
			"namespace", app.Namespace, "name", app.Name, "err", err)
		return
	}
	// What wash deployed is needed while somebody else's pin hides it: it runs again when the pin goes.
	needed := []string{app.Status.Version, app.Status.DeployedVersion,
		app.Annotations[v1beta1.DeployedVersionAnnotation], app.Annotations[v1beta1.WashDeployedVersionAnnotation]}
	excess := len(all) - r.keep
	for _, revision := range all {
		if excess <= 0 {
			return
		}
		if !slices.Contains(needed, revision.Version) {
			r.remove(ctx, &revision)
			excess--
		}
	}
}

// removeAll removes the revisions of an application that is gone, and nothing of a namesake made since.
func (r *revisions) removeAll(ctx context.Context, app *v1beta1.Application) {
	all, err := r.list(ctx, app)
	if err != nil {
		klog.FromContext(ctx).V(2).Info("The history of a deleted application was not removed; the next sweep will",
			"namespace", app.Namespace, "name", app.Name, "err", err)
	}
	for _, revision := range all {
		r.remove(ctx, &revision)
	}
}

// remove deletes one revision. What it can't delete is an orphan, which the sweep finds.
func (r *revisions) remove(ctx context.Context, revision *v1beta1.ApplicationRevision) {
	key := revisionKey(revision.Namespace, revision.Application, revision.Version)
	uid := revision.UID
	err := r.storage.Delete(ctx, key, &v1beta1.ApplicationRevision{}, &storage.Preconditions{UID: &uid},
		storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	if err != nil && !storage.IsNotFound(err) {
		klog.FromContext(ctx).V(2).Info("A revision was not removed; the next sweep will",
			"namespace", revision.Namespace, "name", revision.Name, "err", err)
	}
}

// list returns the revisions of an application, oldest first.
func (r *revisions) list(ctx context.Context, app *v1beta1.Application) ([]v1beta1.ApplicationRevision, error) {
	list := &v1beta1.ApplicationRevisionList{}
	err := r.storage.GetList(ctx, revisionRoot+"/"+app.Namespace+"/"+app.Name+"/", storage.ListOptions{
		Recursive: true, Predicate: storage.Everything,
	}, list)
	if err != nil {
		return nil, err
	}
	own := slices.DeleteFunc(list.Items, func(r v1beta1.ApplicationRevision) bool { return applicationUID(&r) != app.UID })
	slices.SortFunc(own, func(a, b v1beta1.ApplicationRevision) int { return cmp.Compare(writtenAt(&a), writtenAt(&b)) })
	return own, nil
}

// page returns some revisions of all applications, and with them where the next page begins.
func (r *revisions) page(ctx context.Context, size int64, next string) (*v1beta1.ApplicationRevisionList, error) {
	predicate := storage.Everything
	predicate.Limit, predicate.Continue = size, next
	list := &v1beta1.ApplicationRevisionList{}
	return list, r.storage.GetList(ctx, revisionRoot+"/", storage.ListOptions{Recursive: true, Predicate: predicate}, list)
}

// writtenAt is the revision of the store, which is exact where timestamps have seconds.
func writtenAt(r *v1beta1.ApplicationRevision) uint64 {
	n, _ := strconv.ParseUint(r.ResourceVersion, 10, 64)
	return n
}

func applicationUID(r *v1beta1.ApplicationRevision) types.UID {
	if len(r.OwnerReferences) == 0 {
		return ""
	}
	return r.OwnerReferences[0].UID
}

// manifestAnnotations are those of the manifest, without kubectl's copy of it.
func manifestAnnotations(app *v1beta1.Application) map[string]string {
	out := map[string]string{}
	for key, value := range app.Annotations {
		if key != lastAppliedAnnotation {
			out[key] = value
		}
	}
	return out
}

const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"
