package exposure

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// subject is something in a lattice that endpoints depend on: a component, provider or configuration.
type subject struct{ lattice, name string }

// view shows the application's lattice and remembers what is asked of it, so that a change of that leads here. What an
// earlier look asked and this one did not is forgotten by done.
func (r *Reconciler) view(ctx context.Context, app *Application) (view View, done func(), err error) {
	found, err := r.options.Lattices.View(ctx, app.Lattice)
	if err != nil {
		return nil, func() {}, err // what was asked before still counts
	}
	key, asked := keyOf(app), map[subject]bool{}
	ask := func(name string) {
		about := subject{app.Lattice, name}
		if !asked[about] {
			asked[about] = true
			r.index.ask(key, about) // before it is answered: a change at this moment must not be missed
		}
	}
	return watched{found, ask}, func() { r.index.keep(key, asked) }, nil
}

// watched is a view that tells what is asked of it.
type watched struct {
	view View
	ask  func(name string)
}

func (w watched) Links(source string) []Link {
	w.ask(source)
	return w.view.Links(source)
}

func (w watched) Config(name string) (map[string]string, bool) {
	w.ask(name)
	return w.view.Config(name)
}

func (w watched) Hosts(id string) []Host {
	w.ask(id)
	return w.view.Hosts(id)
}

func (x *index) ask(key types.NamespacedName, about subject) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !slices.Contains(x.interests[key], about) {
		x.interests[key] = append(x.interests[key], about)
		x.asking[about] = append(x.asking[about], key)
	}
}

func (x *index) keep(key types.NamespacedName, asked map[subject]bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keepOnly(key, asked)
}

// keepOnly forgets what is not among asked. The caller holds the lock.
func (x *index) keepOnly(key types.NamespacedName, asked map[subject]bool) {
	kept := slices.DeleteFunc(x.interests[key], func(about subject) bool {
		if asked[about] {
			return false
		}
		x.asking[about] = slices.DeleteFunc(x.asking[about], func(k types.NamespacedName) bool { return k == key })
		if len(x.asking[about]) == 0 {
			delete(x.asking, about)
		}
		return true
	})
	if x.interests[key] = kept; len(kept) == 0 {
		delete(x.interests, key)
	}
}

// interested are the applications whose last look asked for it.
func (x *index) interested(about subject) []types.NamespacedName {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.asking[about])
}
