package apiserver

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// Reader lists and watches the applications of all namespaces for the process itself. It asks the watch cache and not
// the API, because an informer behind the API would decode each version of each application once more and keep it. What it
// returns shares its contents with the watch cache: never change it.
type Reader struct{ store *genericregistry.Store }

// Reader reads what the server serves, as soon as it runs.
func (s *Server) Reader() *Reader { return &Reader{s.applications.Store} }

// List lists applications.
func (r *Reader) List(ctx context.Context, options metav1.ListOptions) (*v1beta1.ApplicationList, error) {
	in, err := internally(options)
	if err != nil {
		return nil, err
	}
	found, err := r.store.List(ctx, in)
	if err != nil {
		return nil, err
	}
	return found.(*v1beta1.ApplicationList), nil
}

// Watch follows applications until ctx ends.
func (r *Reader) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	in, err := internally(options)
	if err != nil {
		return nil, err
	}
	events, err := r.store.Watch(ctx, in)
	if err != nil {
		return nil, err
	}
	return sift(events, func(event watch.Event) watch.Event {
		if many, ok := event.Object.(runtime.CacheableObject); ok { // one that several watches encode once
			event.Object = many.GetObject()
		}
		if app, ok := event.Object.(*v1beta1.Application); ok && event.Type != watch.Bookmark {
			event.Object = r.cached(ctx, app)
		}
		return event
	}), nil
}

// cached is the copy of the watch cache, unless that has another version by now: a watch gets a copy of its own of each.
func (r *Reader) cached(ctx context.Context, app *v1beta1.Application) *v1beta1.Application {
	found, err := r.store.Get(request.WithNamespace(ctx, app.Namespace), app.Name, &metav1.GetOptions{ResourceVersion: "0"})
	if same, ok := found.(*v1beta1.Application); err == nil && ok && same.ResourceVersion == app.ResourceVersion {
		return same
	}
	return app
}

func internally(options metav1.ListOptions) (*internalversion.ListOptions, error) {
	in := &internalversion.ListOptions{}
	if err := internalversion.Convert_v1_ListOptions_To_internalversion_ListOptions(&options, in, nil); err != nil {
		return nil, fmt.Errorf("read the options of a list: %w", err)
	}
	return in, nil
}
