package exposure

import (
	"context"
	"fmt"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// definitionMetadata is a CustomResourceDefinition of which only the name is looked at.
func definitionMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}}
}

func ofGatewayAPI(definition client.Object) bool {
	return strings.HasSuffix(definition.GetName(), "."+gatewayGroup)
}

// routes is what the controller works with on routes.
type routes struct {
	kinds *routeKinds
	// reader shows the routes that Trellis made, and asks the API server for none at rest.
	reader client.Reader
	watch  *routeWatch
}

// routeWatch follows the kinds of routes. They may not be there yet, and may go: a cache of its own, which holds what
// Trellis made, follows each kind for as long as the cluster has it.
type routeWatch struct {
	cache   cache.Cache
	changed func(obj any)

	mu       sync.Mutex
	followed map[string]schema.GroupVersionKind
}

// watchRoutes prepares the watches of routes. The handler it returns is for events of definitions.
func (r *Reconciler) watchRoutes(mgr ctrl.Manager) (handler.EventHandler, error) {
	own, err := cache.New(mgr.GetConfig(), cache.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(),
		Mapper: mgr.GetRESTMapper(), DefaultLabelSelector: mine()})
	if err != nil {
		return nil, fmt.Errorf("prepare the cache of routes: %w", err)
	}
	if err := mgr.Add(own); err != nil {
		return nil, fmt.Errorf("start the cache of routes: %w", err)
	}
	ask := func() (kindMapper, error) { return apiutil.NewDynamicRESTMapper(mgr.GetConfig(), mgr.GetHTTPClient()) }
	r.routes = routes{kinds: newRouteKinds(ask, r.options.Now), reader: own,
		watch: &routeWatch{cache: own, changed: r.routeChanged, followed: map[string]schema.GroupVersionKind{}}}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	changed := func(q queue) {
		r.routes.kinds.forget()
		for _, request := range requests(r.index.all()) {
			q.Add(request)
			q.AddAfter(request, settling) // when the API server has settled too
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { changed(q) },
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q queue) { changed(q) },
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { changed(q) },
	}, nil
}

// known returns the version of a kind, and whether the cluster serves it, and sees to it that changes of its objects are
// heard of.
func (r *routes) known(ctx context.Context, kind string) (schema.GroupVersionKind, bool, error) {
	version, served, err := r.kinds.served(kind)
	if err == nil && r.watch != nil {
		err = r.watch.follow(ctx, kind, version)
	}
	return version, served, err
}

// follow begins, changes or, with an empty version, ends the watch of a kind.
func (w *routeWatch) follow(ctx context.Context, kind string, version schema.GroupVersionKind) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.followed[kind]
	if before == version {
		return nil
	}
	if before.Kind != "" {
		if err := w.cache.RemoveInformer(ctx, blankRoute(before)); err != nil {
			return fmt.Errorf("end the watch of %s: %w", before, err)
		}
		delete(w.followed, kind)
	}
	if version.Kind == "" {
		return nil
	}
	informer, err := w.cache.GetInformer(ctx, blankRoute(version), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch %s: %w", version, err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: w.changed, UpdateFunc: func(_, obj any) { w.changed(obj) }, DeleteFunc: w.changed,
	})
	if err != nil {
		return fmt.Errorf("watch %s: %w", version, err)
	}
	w.followed[kind] = version
	return nil
}

func blankRoute(version schema.GroupVersionKind) *unstructured.Unstructured {
	route := &unstructured.Unstructured{}
	route.SetGroupVersionKind(version)
	return route
}

// routeChanged asks for a look at the application of a route.
func (r *Reconciler) routeChanged(obj any) {
	if lost, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = lost.Obj
	}
	if route, ok := obj.(client.Object); ok {
		for _, request := range applicationOf(context.Background(), route) {
			r.again.add(request.NamespacedName, now)
		}
	}
}
