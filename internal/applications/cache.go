package applications

import (
	"context"
	"errors"
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

const (
	byLattice = "lattice"
	byName    = "latticeAndName"
	byPort    = "latticeAndPort"

	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
)

// Cache holds every application of the API in memory, kept current by one watch. What it returns is shared: copy before
// changing it.
type Cache struct {
	informer cache.SharedIndexInformer
}

// Reader lists and watches the applications of all namespaces. What it returns is kept and not changed.
type Reader interface {
	List(ctx context.Context, options metav1.ListOptions) (*oam.ApplicationList, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// NewCache returns a cache that all feeds once Run is called.
func NewCache(all Reader) (*Cache, error) {
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return all.List(ctx, o) },
		WatchFuncWithContext: all.Watch,
	}, &oam.Application{}, 0, cache.Indexers{
		byLattice:            func(obj any) ([]string, error) { return latticeKey(obj.(*oam.Application)), nil },
		byName:               func(obj any) ([]string, error) { return nameKey(obj.(*oam.Application)), nil },
		byPort:               func(obj any) ([]string, error) { return portKeys(obj.(*oam.Application)), nil },
		cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
	})
	if err := informer.SetTransform(slim); err != nil {
		return nil, fmt.Errorf("prepare the cache of applications: %w", err)
	}
	return &Cache{informer: informer}, nil
}

// Run keeps the cache current until ctx ends.
func (c *Cache) Run(ctx context.Context) { c.informer.RunWithContext(ctx) }

// WaitForSync returns when the cache holds all that there was at its start, or with an error when ctx ends first.
func (c *Cache) WaitForSync(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), c.informer.HasSynced) {
		return errors.New("the cache of applications was not filled in time; does the Application API answer?")
	}
	return nil
}

// HasSynced says whether the cache holds all that there was at its start.
func (c *Cache) HasSynced() bool { return c.informer.HasSynced() }

// Subscribe calls f with each application that is there, is added, changed or deleted, with its last state, one at a
// time, until ctx ends. An application whose lattice changes is told twice: as it was and as it is.
func (c *Cache) Subscribe(ctx context.Context, f func(*oam.Application)) {
	c.Follow(ctx, func(before, now *oam.Application) {
		switch {
		case now == nil:
			f(before)
			return
		case before != nil && before.Status.Lattice != now.Status.Lattice:
			f(before)
		}
		f(now)
	})
}

// Follow calls f with each application as it was and as it is, one at a time, until ctx ends; before is nil for one that is
// there or is added, now for one that is deleted.
func (c *Cache) Follow(ctx context.Context, f func(before, now *oam.Application)) {
	registration, err := c.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { f(nil, obj.(*oam.Application)) },
		UpdateFunc: func(old, obj any) { f(old.(*oam.Application), obj.(*oam.Application)) },
		DeleteFunc: func(obj any) {
			if lost, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = lost.Obj
			}
			if app, ok := obj.(*oam.Application); ok {
				f(app, nil)
			}
		},
	})
	if err != nil {
		return // the informer has ended, and with it everything that could be told
	}
	context.AfterFunc(ctx, func() { _ = c.informer.RemoveEventHandler(registration) })
}

// InLattice lists the applications that were resolved to a lattice.
func (c *Cache) InLattice(lattice string) []*oam.Application {
	return c.list(byLattice, lattice)
}

// Find returns the application that holds a name in a lattice, or nil.
func (c *Cache) Find(lattice, name string) *oam.Application {
	found := c.list(byName, lattice+"/"+name)
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// Listening lists the applications of a lattice whose manifests have an HTTP server on a port.
func (c *Cache) Listening(lattice string, port uint16) []*oam.Application {
	return c.list(byPort, portKey(lattice, port))
}

// All lists every application.
func (c *Cache) All() []*oam.Application {
	objects := c.informer.GetStore().List()
	apps := make([]*oam.Application, 0, len(objects))
	for _, obj := range objects {
		apps = append(apps, obj.(*oam.Application))
	}
	return apps
}

func (c *Cache) list(index, key string) []*oam.Application {
	// The only error is an index that does not exist; all are named above.
	objects, _ := c.informer.GetIndexer().ByIndex(index, key)
	apps := make([]*oam.Application, 0, len(objects))
	for _, obj := range objects {
		apps = append(apps, obj.(*oam.Application))
	}
	return apps
}

func latticeKey(app *oam.Application) []string {
	if app.Status.Lattice == "" {
		return nil
	}
	return []string{app.Status.Lattice}
}

func nameKey(app *oam.Application) []string {
	if app.Status.Lattice == "" {
		return nil
	}
	return []string{app.Status.Lattice + "/" + app.Name}
}

func portKeys(app *oam.Application) []string {
	if app.Status.Lattice == "" {
		return nil
	}
	var keys []string
	for _, port := range manifest.Ports(app) {
		keys = append(keys, portKey(app.Status.Lattice, port))
	}
	return keys
}

func portKey(lattice string, port uint16) string { return fmt.Sprintf("%s/%d", lattice, port) }

// slim drops what no consumer reads and what makes most of an object's size. The rest is shared with whoever read it.
func slim(obj any) (any, error) {
	app, ok := obj.(*oam.Application)
	if !ok {
		return obj, nil
	}
	out := *app
	out.ManagedFields = nil
	if _, has := out.Annotations[lastApplied]; has {
		out.Annotations = maps.Clone(out.Annotations)
		delete(out.Annotations, lastApplied)
	}
	return &out, nil
}

// Get returns an application, or nil.
func (c *Cache) Get(namespace, name string) *oam.Application {
	obj, exists, err := c.informer.GetStore().GetByKey(namespace + "/" + name)
	if err != nil || !exists {
		return nil
	}
	return obj.(*oam.Application)
}
