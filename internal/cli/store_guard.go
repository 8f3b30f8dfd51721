package cli

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/internal/storemark"
)

// storeGuard keeps what acts on lattices from acting while the store is not the one that was served.
type storeGuard struct {
	keeper  *storemark.Keeper
	expect  *store.Mark
	objects *store.Store

	// caughtUp compares what the process remembers with the store; set by watch.
	caughtUp func(context.Context) error
	failure  string

	mu     sync.Mutex
	open   bool
	change chan struct{} // closed when open changes
}

// newStoreGuard reads which store was served last. A shelf that can't be read is an error: without it, a lost store would
// be taken for a new one.
func newStoreGuard(ctx context.Context, c storemark.Config) (*storeGuard, error) {
	g := &storeGuard{change: make(chan struct{})}
	c.CaughtUp = func(ctx context.Context) error { return g.caughtUp(ctx) }
	c.Failed = func(err error) { g.failed(ctx, err) }
	keeper, expect, err := storemark.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	g.keeper = keeper
	if expect != nil {
		g.expect = &store.Mark{Identity: expect.Identity, Revision: expect.Revision}
	}
	return g, nil
}

// failed logs a state of failure once.
func (g *storeGuard) failed(ctx context.Context, err error) {
	if err.Error() != g.failure {
		logr.FromContextOrDiscard(ctx).Info("The mark of the store is not up to date; it is tried again", "reason", err.Error())
	}
	g.failure = err.Error()
}

// watch looks after the store, which was opened with expect, and what cache remembers of it.
func (g *storeGuard) watch(ctx context.Context, p *parts, objects *store.Store, cache *applications.Cache, client *applications.Client) {
	g.objects = objects
	g.caughtUp = caughtUp(cache, client)
	p.start(ctx, "mark of the store", func(ctx context.Context) error {
		var follow sync.WaitGroup
		defer follow.Wait()
		follow.Go(func() { g.follow(ctx) })
		g.keeper.Run(ctx, markedStore{objects})
		return nil
	})
}

func (g *storeGuard) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			g.set(false)
			return
		case <-g.keeper.Changes():
			g.set(g.keeper.Settled())
		}
	}
}

func (g *storeGuard) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != open {
		g.open = open
		close(g.change)
		g.change = make(chan struct{})
	}
}

func (g *storeGuard) state() (open bool, change <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.change
}

// settled says whether the store is the right one, and what the process remembers agrees with it.
func (g *storeGuard) settled() bool {
	open, _ := g.state()
	return open
}

// whileOpen calls act whenever the store is the right one, with a context that ends when it no longer is, until ctx ends.
func (g *storeGuard) whileOpen(ctx context.Context, act func(context.Context)) {
	for ctx.Err() == nil {
		open, change := g.state()
		if !open {
			select {
			case <-change:
			case <-ctx.Done():
			}
			continue
		}
		term, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			select {
			case <-change:
				cancel()
			case <-term.Done():
			}
		}()
		act(term)
		cancel()
		<-ended
	}
}

// caughtUp returns when the cache holds what the store has. The first time it is enough that it was filled: it was empty.
// Later it may hold what a store of before had, until its watch has begun anew.
func caughtUp(cache *applications.Cache, client *applications.Client) func(context.Context) error {
	var filled atomic.Bool
	return func(ctx context.Context) error {
		if err := cache.WaitForSync(ctx); err != nil {
			return err
		}
		if !filled.Swap(true) {
			return nil
		}
		return agree(ctx, cache, client)
	}
}

const listPage = 500

// agree compares cache and store once.
func agree(ctx context.Context, cache *applications.Cache, client *applications.Client) error {
	type edition struct {
		uid      types.UID
		revision string
	}
	editionOf := func(app *oam.Application) edition { return edition{app.UID, app.ResourceVersion} }
	stored := map[types.NamespacedName]edition{}
	for options := (metav1.ListOptions{Limit: listPage}); ; {
		list, err := client.In(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return err
		}
		for i := range list.Items {
			stored[keyOf(&list.Items[i])] = editionOf(&list.Items[i])
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	cached := cache.All()
	if len(cached) != len(stored) {
		return fmt.Errorf("the store has %d applications, the cache %d", len(stored), len(cached))
	}
	for _, app := range cached {
		if stored[keyOf(app)] != editionOf(app) {
			return fmt.Errorf("the cache is behind the store at application %s/%s", app.Namespace, app.Name)
		}
	}
	return nil
}

// markedStore is the store as storemark wants it.
type markedStore struct{ *store.Store }

var _ storemark.Store = markedStore{}

func (m markedStore) Served() storemark.Mark { return storemark.Mark(m.Store.Served()) }

func (m markedStore) Found(ctx context.Context) (storemark.Mark, error) {
	found, err := m.Store.Found(ctx)
	return storemark.Mark(found), err
}

func (m markedStore) AcceptOnly(mark storemark.Mark) { m.Store.AcceptOnly(store.Mark(mark)) }
