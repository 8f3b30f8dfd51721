package apiserver

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// statusStrategy are the rules of writes to applications/status.
type statusStrategy struct {
	*strategy
}

var _ rest.RESTUpdateStrategy = statusStrategy{}

// GetResetFields implements rest.ResetFieldsStrategy.
func (statusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(v1beta1.SchemeGroupVersion.String()): fieldpath.NewSet(
			fieldpath.MakePathOrDie("spec"), fieldpath.MakePathOrDie("metadata")),
	}
}

// PrepareForUpdate implements rest.RESTUpdateStrategy. Lattice, version and their condition are the registry's own: a
// writer that looks at an older state does not take them back.
func (statusStrategy) PrepareForUpdate(_ context.Context, obj, existing runtime.Object) {
	app, old := obj.(*v1beta1.Application), existing.(*v1beta1.Application)
	managed := app.ManagedFields
	app.ObjectMeta = *old.ObjectMeta.DeepCopy()
	app.ManagedFields = managed
	app.Spec = *old.Spec.DeepCopy()
	app.Status.Lattice = old.Status.Lattice
	app.Status.Version = old.Status.Version
	if resolved := meta.FindStatusCondition(old.Status.Conditions, v1beta1.ConditionLatticeResolved); resolved != nil {
		keepCondition(&app.Status.Conditions, *resolved)
	}
}

func keepCondition(conditions *[]metav1.Condition, kept metav1.Condition) {
	if at := meta.FindStatusCondition(*conditions, kept.Type); at != nil {
		*at = kept
		return
	}
	*conditions = append(*conditions, kept)
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (statusStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (statusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// statusREST is applications/status.
type statusREST struct {
	store *genericregistry.Store
}

var (
	_ rest.Patcher        = (*statusREST)(nil)
	_ rest.TableConvertor = (*statusREST)(nil)
)

// New implements rest.Storage.
func (*statusREST) New() runtime.Object { return &v1beta1.Application{} }

// Destroy implements rest.Storage; the storage belongs to the main resource.
func (*statusREST) Destroy() {}

// Get implements rest.Patcher.
func (r *statusREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}

// Update implements rest.Patcher. A status never makes an application.
func (r *statusREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, understood{info}, create, update, false, options)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (r *statusREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.GetResetFields()
}

// ConvertToTable implements rest.TableConvertor.
func (r *statusREST) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, obj, options)
}
