package apiserver

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// applicationREST serves applications.
type applicationREST struct {
	*genericregistry.Store
	// terminating says whether a namespace is being deleted.
	terminating func(namespace string) bool
	secrets     secretGate
}

var (
	_ rest.StandardStorage    = (*applicationREST)(nil)
	_ rest.ShortNamesProvider = (*applicationREST)(nil)
	_ rest.CategoriesProvider = (*applicationREST)(nil)
)

func newApplicationREST(options generic.RESTOptionsGetter, s *strategy, terminating func(string) bool) (*applicationREST, *statusREST, error) {
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &v1beta1.Application{} },
		NewListFunc:               func() runtime.Object { return &v1beta1.ApplicationList{} },
		DefaultQualifiedResource:  v1beta1.Resource(applications),
		SingularQualifiedResource: v1beta1.Resource("application"),
		CreateStrategy:            s, UpdateStrategy: s, DeleteStrategy: s, ResetFieldsStrategy: s,
		TableConvertor: applicationTable(),
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: options, AttrFunc: applicationAttrs}); err != nil {
		return nil, nil, fmt.Errorf("make the storage of applications: %w", err)
	}
	status := *store
	status.UpdateStrategy, status.ResetFieldsStrategy = statusStrategy{s}, statusStrategy{s}
	return &applicationREST{Store: store, terminating: terminating, secrets: s.secrets}, &statusREST{store: &status}, nil
}

// ShortNames implements rest.ShortNamesProvider.
func (*applicationREST) ShortNames() []string { return []string{"app"} }

// Categories implements rest.CategoriesProvider.
func (*applicationREST) Categories() []string { return []string{"oam"} }

// Create implements rest.Creater.
func (r *applicationREST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions,
) (runtime.Object, error) {
	return r.Store.Create(ctx, obj, r.secrets.onCreate(validate), options)
}

// Update implements rest.Updater.
func (r *applicationREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, forceCreate bool, options *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	return r.Store.Update(ctx, name, understood{info}, r.secrets.onCreate(create), r.secrets.onUpdate(update), forceCreate, options)
}

// List implements rest.Lister.
func (r *applicationREST) List(ctx context.Context, options *internalversion.ListOptions) (runtime.Object, error) {
	list, err := r.Store.List(ctx, options)
	if err != nil && withoutNATS(err) {
		if empty := r.emptyForDeletion(ctx); empty != nil {
			return empty, nil
		}
	}
	return list, err
}

// DeleteCollection implements rest.CollectionDeleter.
func (r *applicationREST) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions,
	list *internalversion.ListOptions,
) (runtime.Object, error) {
	deleted, err := r.Store.DeleteCollection(ctx, validate, options, list)
	if err != nil && withoutNATS(err) {
		if empty := r.emptyForDeletion(ctx); empty != nil {
			return empty, nil
		}
	}
	return deleted, err
}

// emptyForDeletion is the one answer given without NATS to a request that asks for the newest state: the namespace is
// Terminating, so nothing can be created in it any more, and the complete cache holds none of it. Otherwise a NATS that
// is away would keep every namespace of the cluster from going. nil: the exception does not apply.
func (r *applicationREST) emptyForDeletion(ctx context.Context) runtime.Object {
	namespace := request.NamespaceValue(ctx)
	if namespace == "" || !r.terminating(namespace) {
		return nil
	}
	// From the cache; it refuses while it is not complete.
	cached, err := r.Store.List(ctx, &internalversion.ListOptions{ResourceVersion: "0"})
	if list, ok := cached.(*v1beta1.ApplicationList); err == nil && ok && len(list.Items) == 0 {
		return list
	}
	return nil
}
