package census

import (
	"context"
	"testing"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// script plays changes of the two buckets.
type script struct {
	specs   []lattice.SpecChange
	configs []lattice.ConfigChange
}

func (s script) WatchLattice(_ context.Context, handle func(lattice.SpecChange)) <-chan struct{} {
	for _, c := range s.specs {
		handle(c)
	}
	return closed()
}

func (s script) WatchConfig(_ context.Context, handle func(lattice.ConfigChange)) <-chan struct{} {
	for _, c := range s.configs {
		handle(c)
	}
	return closed()
}

func closed() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func TestWiringShowsWhatIsCompleteOnly(t *testing.T) {
	link := lattice.ComponentSpec{Links: []lattice.Link{{SourceID: "server", Target: "hello"}}}
	put := lattice.SpecChange{Kind: lattice.ChangePut, Name: "server", Value: link}
	start := script{
		specs:   []lattice.SpecChange{{Kind: lattice.ChangeReset}, put},
		configs: []lattice.ConfigChange{{Kind: lattice.ChangeReset}, {Kind: lattice.ChangePut, Name: "c", Value: lattice.Config{"a": "1"}}, {Kind: lattice.ChangeSynced}},
	}
	changes := 0
	w := NewWiring(start, func([]string) { changes++ })
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.Complete() || len(w.Links("server")) != 0 {
		t.Error("a list that is not complete is shown")
	}
	if values, ok := w.Config("c"); !ok || values["a"] != "1" {
		t.Errorf("Config = %v, %v; want the value", values, ok)
	}
	w.feeds = script{specs: []lattice.SpecChange{{Kind: lattice.ChangeSynced}}}
	_ = w.Run(t.Context())
	if !w.Complete() || len(w.Links("server")) != 1 {
		t.Error("a complete list is not shown")
	}

	w.feeds = script{specs: []lattice.SpecChange{{Kind: lattice.ChangeReset}}}
	_ = w.Run(t.Context())
	if len(w.Links("server")) != 1 {
		t.Error("a watch that begins again forgot what was known")
	}
	w.feeds = script{specs: []lattice.SpecChange{{Kind: lattice.ChangeSynced}}}
	_ = w.Run(t.Context())
	if len(w.Links("server")) != 0 {
		t.Error("what a new complete list does not have is still shown")
	}
	if changes != 3 {
		t.Errorf("%d changes told; want 3", changes)
	}
}
