package apiserver

import (
	"context"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// lifecycle are the steps around each write of an application: lattice, version, claims, revision, teardown; in the
// order in which a crash between two of them leaves at most an orphan, never a hole.
type lifecycle struct {
	bindings   Bindings
	claims     Claims
	teardowns  Teardowns
	revisions  *revisions
	versions   *versionNamer
	authorizer authorizer.Authorizer
	ports      Ports // nil: nobody is warned
}

var _ steps = (*lifecycle)(nil)

// around puts the steps around the storage of applications, and gives every storage the errors that clients should see.
func (l *lifecycle) around(resource schema.GroupResource, s storage.Interface) storage.Interface {
	if resource.Resource == applications {
		s = &guard{Interface: s, steps: l}
	}
	return interpreted{s}
}

func (l *lifecycle) beforeWrite(ctx context.Context, once *attempt, old, app *v1beta1.Application) error {
	if old != nil && settled(old, app) {
		return nil
	}
	if isRunning := app.Annotations[v1beta1.WadmImportAnnotation] == v1beta1.WadmImportRunning; isRunning {
		awaitImport(app)
	} else {
		settleLattice(l.bindings, old, app)
	}
	digest, err := manifest.Digest(&app.Spec)
	if err != nil {
		return invalidSpec(app.Name, err)
	}
	isNew, err := l.settleVersion(ctx, once, old, app, digest)
	if err != nil {
		return err
	}
	if err := l.claim(ctx, old, app); err != nil {
		if !foundLate(old, app) || !apierrors.IsInvalid(err) {
			return err
		}
		unresolve(old, app, err)
	}
	if isNew {
		if err := l.revisions.write(ctx, once, app, digest); err != nil {
			return err
		}
		once.wroteRevision = true
	}
	if err := l.warnOfPin(ctx, old, app); err != nil {
		return err
	}
	l.warnOfPorts(ctx, old, app)
	return l.tearDown(ctx, old, app)
}

func (l *lifecycle) beforeDelete(ctx context.Context, app *v1beta1.Application) error {
	if app.Status.Lattice == "" {
		return nil // it was never anywhere
	}
	return l.putTeardown(ctx, app, string(app.UID))
}

func (l *lifecycle) afterWrite(ctx context.Context, once *attempt, old, app *v1beta1.Application) {
	switch {
	case !once.wroteRevision:
	case old != nil:
		l.revisions.trim(ctx, app)
	case once.generated == "":
		l.revisions.keepOwn(ctx, once, app)
	}
}

func (l *lifecycle) afterDelete(ctx context.Context, app *v1beta1.Application) {
	l.revisions.removeAll(ctx, app)
}

// foundLate says that nobody asked for this write: only the lattice became known, the first or the one to move to. A name
// that is taken there is then no error of the writer's.
func foundLate(old, app *v1beta1.Application) bool {
	return old != nil && old.Status.Lattice != app.Status.Lattice && app.Generation == old.Generation
}

// settled says that nothing changed that any step cares for. Most writes are of status and end here.
func settled(old, app *v1beta1.Application) bool {
	return app.Status.Lattice != "" && old.Status.Lattice == app.Status.Lattice &&
		app.Status.Version != "" && old.Status.Version == app.Status.Version &&
		wantedLattice(old) == wantedLattice(app) && wantedLattice(app) == latticeIfNamed(app) &&
		maps.Equal(deploymentAnnotations(old), deploymentAnnotations(app)) &&
		sameSpec(&old.Spec, &app.Spec)
}

// latticeIfNamed is the lattice of status if the application names one at all.
func latticeIfNamed(app *v1beta1.Application) string {
	if wantedLattice(app) == "" {
		return ""
	}
	return app.Status.Lattice
}

// deploymentAnnotations are those that decide which version runs and what the current one is called.
func deploymentAnnotations(app *v1beta1.Application) map[string]string {
	out := map[string]string{}
	for _, key := range []string{
		v1beta1.VersionAnnotation, v1beta1.DeployedVersionAnnotation, v1beta1.WashDeployedVersionAnnotation,
	} {
		if value, ok := app.Annotations[key]; ok {
			out[key] = value
		}
	}
	return out
}
