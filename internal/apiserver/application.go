package apiserver

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// strategy are the rules of writes to applications.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	// namespaceUID finds the UID of a namespace; empty when it is not known.
	namespaceUID func(namespace string) string
	secrets      secretGate
}

var (
	_ rest.RESTCreateStrategy              = (*strategy)(nil)
	_ rest.RESTUpdateStrategy              = (*strategy)(nil)
	_ rest.RESTDeleteStrategy              = (*strategy)(nil)
	_ rest.GarbageCollectionDeleteStrategy = (*strategy)(nil)
	_ rest.ResetFieldsStrategy             = (*strategy)(nil)
)

// NamespaceScoped implements rest.RESTCreateStrategy.
func (*strategy) NamespaceScoped() bool { return true }

// AllowCreateOnUpdate implements rest.RESTUpdateStrategy.
func (*strategy) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate implements rest.RESTUpdateStrategy: as for a custom resource, an update must say what it is
// based on.
func (*strategy) AllowUnconditionalUpdate(context.Context) bool { return false }

// DefaultGarbageCollectionPolicy implements rest.GarbageCollectionDeleteStrategy.
func (*strategy) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	return rest.DeleteDependents
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (*strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(v1beta1.SchemeGroupVersion.String()): fieldpath.NewSet(fieldpath.MakePathOrDie("status")),
	}
}

// PrepareForCreate implements rest.RESTCreateStrategy.
func (s *strategy) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	app := obj.(*v1beta1.Application)
	app.Status = v1beta1.ApplicationStatus{}
	settleWash(ctx, nil, app)
	settleImport(ctx, nil, app)
	s.secrets.settleReviewed(ctx, nil, app)
	app.Generation = 1
	if uid := s.namespaceUID(app.Namespace); uid != "" {
		annotate(app, v1beta1.NamespaceUIDAnnotation, uid)
	}
}

// PrepareForUpdate implements rest.RESTUpdateStrategy. The generation counts what changes what should run: the spec, and
// the metadata that chooses version and lattice.
func (s *strategy) PrepareForUpdate(ctx context.Context, obj, existing runtime.Object) {
	app, old := obj.(*v1beta1.Application), existing.(*v1beta1.Application)
	app.Status = *old.Status.DeepCopy()
	if uid, ok := old.Annotations[v1beta1.NamespaceUIDAnnotation]; ok {
		annotate(app, v1beta1.NamespaceUIDAnnotation, uid)
	}
	settleWash(ctx, old, app)
	settleImport(ctx, old, app)
	s.secrets.settleReviewed(ctx, old, app)
	app.Generation = old.Generation
	if !sameSpec(&old.Spec, &app.Spec) || wantedLattice(old) != wantedLattice(app) || !sameDeployment(old, app) {
		app.Generation++
	}
}

// Validate implements rest.RESTCreateStrategy. What is taken over from wadm runs already, whatever newer rules say of it.
func (s *strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	app := obj.(*v1beta1.Application)
	if importing(ctx, app) {
		return nil
	}
	errs, _ := manifest.Validate(app)
	return append(errs, validateLattice(app)...)
}

// ValidateUpdate implements rest.RESTUpdateStrategy. A spec that was stored is not refused for what it is: rules grow,
// and metadata and finalizers of an old application must stay changeable, above all what decides which version runs.
func (s *strategy) ValidateUpdate(ctx context.Context, obj, existing runtime.Object) field.ErrorList {
	app, old := obj.(*v1beta1.Application), existing.(*v1beta1.Application)
	if importing(ctx, app) {
		return nil
	}
	var errs field.ErrorList
	if !sameSpec(&old.Spec, &app.Spec) {
		errs, _ = manifest.Validate(app)
	} else if !sameDeployment(old, app) {
		errs, _ = manifest.ValidateMetadata(app)
	}
	if len(validateLattice(old)) == 0 {
		errs = append(errs, validateLattice(app)...)
	}
	return errs
}

// WarningsOnCreate implements rest.RESTCreateStrategy.
func (s *strategy) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	app := obj.(*v1beta1.Application)
	_, warnings := manifest.Validate(app)
	if _, ok := app.Labels[v1beta1.LatticeLabel]; !ok && app.Annotations[v1beta1.LatticeLabel] != "" {
		warnings = append(warnings, fmt.Sprintf("metadata.annotations[%s]: read as the label of the same name; use the label",
			v1beta1.LatticeLabel))
	}
	return warnings
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (s *strategy) WarningsOnUpdate(ctx context.Context, obj, existing runtime.Object) []string {
	if sameSpec(&existing.(*v1beta1.Application).Spec, &obj.(*v1beta1.Application).Spec) {
		return nil
	}
	return s.WarningsOnCreate(ctx, obj)
}

// Canonicalize implements rest.RESTCreateStrategy: what users wrote stays.
func (*strategy) Canonicalize(runtime.Object) {}

func sameDeployment(old, app *v1beta1.Application) bool {
	return manifest.Deployed(old.Annotations) == manifest.Deployed(app.Annotations) &&
		old.Annotations[v1beta1.VersionAnnotation] == app.Annotations[v1beta1.VersionAnnotation]
}

func annotate(app *v1beta1.Application, key, value string) {
	if app.Annotations == nil {
		app.Annotations = map[string]string{}
	}
	app.Annotations[key] = value
}
