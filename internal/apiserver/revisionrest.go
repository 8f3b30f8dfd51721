package apiserver

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// revisionREST serves revisions for reading. Verbs are what a type implements: it has no write, and above all no delete,
// because a history that a controller could delete would be deleted with the namespace before its application.
type revisionREST struct {
	store *genericregistry.Store
}

var (
	_ rest.Getter               = (*revisionREST)(nil)
	_ rest.Lister               = (*revisionREST)(nil)
	_ rest.Watcher              = (*revisionREST)(nil)
	_ rest.Scoper               = (*revisionREST)(nil)
	_ rest.SingularNameProvider = (*revisionREST)(nil)
	_ rest.StorageWithReadiness = (*revisionREST)(nil)
	_ rest.ShortNamesProvider   = (*revisionREST)(nil)
)

func newRevisionREST(options generic.RESTOptionsGetter, s *strategy) (*revisionREST, error) {
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &v1beta1.ApplicationRevision{} },
		NewListFunc:               func() runtime.Object { return &v1beta1.ApplicationRevisionList{} },
		DefaultQualifiedResource:  v1beta1.Resource(applicationRevisions),
		SingularQualifiedResource: v1beta1.Resource("applicationrevision"),
		KeyRootFunc:               revisionRootKey,
		KeyFunc:                   revisionKeyOf,
		// Never called, but the registry asks whether the kind has namespaces.
		CreateStrategy: s, UpdateStrategy: s, DeleteStrategy: s,
		TableConvertor: revisionTable(),
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: options, AttrFunc: revisionAttrs}); err != nil {
		return nil, fmt.Errorf("make the storage of revisions: %w", err)
	}
	return &revisionREST{store: store}, nil
}

// ofApplication is the key of a context value: the application that a list is restricted to.
type ofApplication struct{}

func revisionRootKey(ctx context.Context) string {
	namespace := request.NamespaceValue(ctx)
	if namespace == "" {
		return revisionRoot + "/"
	}
	if application, ok := ctx.Value(ofApplication{}).(string); ok {
		return revisionRoot + "/" + namespace + "/" + application + "/"
	}
	return revisionRoot + "/" + namespace + "/"
}

func revisionKeyOf(ctx context.Context, name string) (string, error) {
	namespace := request.NamespaceValue(ctx)
	if namespace == "" {
		return "", apierrors.NewBadRequest("a revision is read in its namespace")
	}
	key, ok := keyOfName(namespace, name)
	if !ok {
		return "", apierrors.NewBadRequest(errRevisionName(name).Error())
	}
	return key, nil
}

// New implements rest.Storage.
func (r *revisionREST) New() runtime.Object { return r.store.New() }

// NewList implements rest.Lister.
func (r *revisionREST) NewList() runtime.Object { return r.store.NewList() }

// Destroy implements rest.Storage.
func (r *revisionREST) Destroy() { r.store.Destroy() }

// NamespaceScoped implements rest.Scoper.
func (*revisionREST) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (r *revisionREST) GetSingularName() string { return r.store.GetSingularName() }

// ShortNames implements rest.ShortNamesProvider.
func (*revisionREST) ShortNames() []string { return []string{"apprev"} }

// ReadinessCheck implements rest.StorageWithReadiness.
func (r *revisionREST) ReadinessCheck() error { return r.store.ReadinessCheck() }

// Get implements rest.Getter. A name that no revision can have is not found, not a mistake.
func (r *revisionREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	if _, ok := keyOfName(request.NamespaceValue(ctx), name); !ok {
		return nil, apierrors.NewNotFound(v1beta1.Resource(applicationRevisions), name)
	}
	return r.store.Get(ctx, name, options)
}

// List implements rest.Lister. The history of one application is one range of the store: to read it must not cost more
// where there are many others.
func (r *revisionREST) List(ctx context.Context, options *internalversion.ListOptions) (runtime.Object, error) {
	if options != nil && options.FieldSelector != nil {
		application, exact := options.FieldSelector.RequiresExactMatch("application")
		if exact && application != "" && !strings.Contains(application, "/") {
			ctx = context.WithValue(ctx, ofApplication{}, application)
		}
	}
	return r.store.List(ctx, options)
}

// Watch implements rest.Watcher.
func (r *revisionREST) Watch(ctx context.Context, options *internalversion.ListOptions) (watch.Interface, error) {
	return r.store.Watch(ctx, options)
}

// ConvertToTable implements rest.TableConvertor.
func (r *revisionREST) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, obj, options)
}
