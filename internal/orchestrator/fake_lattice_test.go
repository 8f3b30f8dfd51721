package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// bus is a lattice in memory: hosts that behave as wasmCloud 1.9 does, and the two buckets. Replies and events take the
// delays that are set, in virtual time.
type bus struct {
	mu      sync.Mutex
	hosts   map[string]*fakeHost
	specs   map[string]lattice.ComponentSpec
	configs map[string]lattice.Config
	feeds   []*feed
	// failing images never start, with this error.
	failing map[string]string
	delay   time.Duration
	down    bool
	log     []string
	sent    map[string]int
}

type fakeHost struct {
	id       string
	inv      lattice.Inventory
	noUpdate bool
	mute     bool
}

// feed delivers to one subscriber, in order.
type feed struct {
	ctx    context.Context
	in     chan func()
	events func(lattice.Event)
	specs  func(lattice.SpecChange)
	confs  func(lattice.ConfigChange)
	gap    func(error)
}

func newBus() *bus {
	return &bus{hosts: map[string]*fakeHost{}, specs: map[string]lattice.ComponentSpec{}, configs: map[string]lattice.Config{},
		failing: map[string]string{}, sent: map[string]int{}}
}

var errDown = errors.New("not connected to NATS")

func (b *bus) open(ctx context.Context, f *feed) <-chan struct{} {
	f.ctx, f.in = ctx, make(chan func(), 100_000)
	b.feeds = append(b.feeds, f)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case g := <-f.in:
				g()
			}
		}
	}()
	return done
}

func (b *bus) each(g func(*feed) func()) {
	for _, f := range b.feeds {
		if h := g(f); h != nil && f.ctx.Err() == nil {
			f.in <- h
		}
	}
}

// emit publishes an event; a bus that is down loses it.
func (b *bus) emit(host string, data lattice.EventData) {
	if b.down {
		return
	}
	e := lattice.Event{Host: host, Time: time.Now(), Data: data}
	b.each(func(f *feed) func() {
		if f.events == nil {
			return nil
		}
		return func() { f.events(e) }
	})
}

func (b *bus) Events(ctx context.Context, handle func(lattice.Event), gap func(error)) (<-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return nil, errDown
	}
	return b.open(ctx, &feed{events: handle, gap: gap}), nil
}

func (b *bus) WatchLattice(ctx context.Context, handle func(lattice.SpecChange)) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &feed{specs: handle}
	done := b.open(ctx, f)
	f.in <- func() { handle(lattice.SpecChange{Kind: lattice.ChangeReset}) }
	for _, id := range slices.Sorted(maps.Keys(b.specs)) {
		spec := b.specs[id]
		f.in <- func() {
			handle(lattice.SpecChange{Kind: lattice.ChangePut, Name: id, Value: spec, Time: time.Unix(1, 0)})
		}
	}
	f.in <- func() { handle(lattice.SpecChange{Kind: lattice.ChangeSynced}) }
	return done
}

func (b *bus) WatchConfig(ctx context.Context, handle func(lattice.ConfigChange)) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &feed{confs: handle}
	done := b.open(ctx, f)
	f.in <- func() { handle(lattice.ConfigChange{Kind: lattice.ChangeReset}) }
	for _, name := range slices.Sorted(maps.Keys(b.configs)) {
		value := b.configs[name]
		f.in <- func() {
			handle(lattice.ConfigChange{Kind: lattice.ChangePut, Name: name, Value: value, Time: time.Unix(1, 0)})
		}
	}
	f.in <- func() { handle(lattice.ConfigChange{Kind: lattice.ChangeSynced}) }
	return done
}

func (b *bus) Connected() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.down
}

func (b *bus) Ping(ctx context.Context) ([]lattice.HostPing, error) {
	time.Sleep(500 * time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return nil, errDown
	}
	var out []lattice.HostPing
	for _, id := range slices.Sorted(maps.Keys(b.hosts)) {
		if h := b.hosts[id]; !h.mute {
			out = append(out, lattice.HostPing{ID: id, Labels: h.inv.Labels})
		}
	}
	return out, nil
}

// ask is the way of one request: there, the work of the host, and back.
func (b *bus) ask(verb, host string, work func(h *fakeHost) error) error {
	time.Sleep(b.delay)
	b.mu.Lock()
	if b.down {
		b.mu.Unlock()
		return errDown
	}
	var h *fakeHost
	if host != "" {
		h = b.hosts[host]
	}
	if host != "" && (h == nil || h.mute) {
		b.mu.Unlock()
		time.Sleep(2 * time.Second)
		return errors.New("no answer in time")
	}
	if verb != "" {
		b.log = append(b.log, verb)
		b.sent[verb]++
	}
	defer b.mu.Unlock()
	return work(h)
}

func (b *bus) HostInventory(_ context.Context, host string) (lattice.Inventory, error) {
	var out lattice.Inventory
	err := b.ask("", host, func(h *fakeHost) error { out = h.inventory(); return nil })
	return out, err
}

func (h *fakeHost) inventory() lattice.Inventory {
	inv := h.inv
	inv.HostID, inv.Components, inv.Providers = h.id, slices.Clone(h.inv.Components), slices.Clone(h.inv.Providers)
	return inv
}

func (b *bus) ScaleComponent(_ context.Context, cmd lattice.ScaleComponent) (string, error) {
	verb := fmt.Sprintf("scale %s=%d %s on %s", cmd.ComponentID, cmd.Count, cmd.ComponentRef, cmd.HostID)
	return "", b.ask(verb, cmd.HostID, func(h *fakeHost) error { b.later(func() { b.scale(h, cmd) }); return nil })
}

// later does something after the start-up delay, if the lattice is still there.
func (b *bus) later(f func()) {
	go func() {
		time.Sleep(b.delay)
		b.mu.Lock()
		defer b.mu.Unlock()
		f()
	}()
}

func (b *bus) scale(h *fakeHost, cmd lattice.ScaleComponent) {
	if b.hosts[h.id] != h {
		return
	}
	i := slices.IndexFunc(h.inv.Components, func(c lattice.ComponentDescription) bool { return c.ID == cmd.ComponentID })
	if reason := b.failing[cmd.ComponentRef]; reason != "" && i < 0 && cmd.Count > 0 {
		b.emit(h.id, lattice.ComponentScaleFailed{ComponentID: cmd.ComponentID, Annotations: cmd.Annotations, HostID: h.id,
			ImageRef: cmd.ComponentRef, MaxInstances: cmd.Count, Error: reason})
		return
	}
	event := lattice.ComponentScaled{ComponentID: cmd.ComponentID, HostID: h.id, MaxInstances: cmd.Count,
		Annotations: cmd.Annotations, ImageRef: cmd.ComponentRef}
	switch {
	case i < 0 && cmd.Count == 0:
	case i < 0:
		h.inv.Components = append(h.inv.Components, lattice.ComponentDescription{ID: cmd.ComponentID, ImageRef: cmd.ComponentRef,
			Annotations: cmd.Annotations, MaxInstances: cmd.Count})
		b.emit(h.id, event)
	default:
		c := &h.inv.Components[i]
		event.Annotations, event.ImageRef = c.Annotations, c.ImageRef
		if cmd.Count == 0 {
			h.inv.Components = slices.Delete(h.inv.Components, i, i+1)
		} else if c.MaxInstances != cmd.Count {
			c.MaxInstances, c.Annotations = cmd.Count, cmd.Annotations
		}
	}
	b.emit(h.id, event)
}

func (b *bus) UpdateComponent(_ context.Context, cmd lattice.UpdateComponent) (string, error) {
	verb := fmt.Sprintf("update %s %s on %s", cmd.ComponentID, cmd.NewComponentRef, cmd.HostID)
	return "", b.ask(verb, cmd.HostID, func(h *fakeHost) error {
		if h.noUpdate {
			return errors.New("update component: the host refuses: " + lattice.MessageUnsupportedSubject)
		}
		b.later(func() {
			if b.failing[cmd.NewComponentRef] != "" || b.hosts[h.id] != h {
				return
			}
			for i := range h.inv.Components {
				if c := &h.inv.Components[i]; c.ID == cmd.ComponentID {
					c.ImageRef, c.Annotations = cmd.NewComponentRef, cmd.Annotations
					e := lattice.ComponentScaled{ComponentID: c.ID, HostID: h.id, MaxInstances: c.MaxInstances,
						Annotations: c.Annotations, ImageRef: c.ImageRef}
					b.emit(h.id, e)
					e.MaxInstances = 0
					b.emit(h.id, e)
				}
			}
		})
		return nil
	})
}

func (b *bus) StartProvider(_ context.Context, cmd lattice.StartProvider) error {
	return b.ask(fmt.Sprintf("start %s %s on %s", cmd.ProviderID, cmd.ProviderRef, cmd.HostID), cmd.HostID, func(h *fakeHost) error {
		b.later(func() {
			if b.hosts[h.id] != h {
				return
			}
			if reason := b.failing[cmd.ProviderRef]; reason != "" {
				b.emit(h.id, lattice.ProviderStartFailed{ProviderID: cmd.ProviderID, ProviderRef: cmd.ProviderRef, HostID: h.id, Error: reason})
				return
			}
			ref := lattice.NormalizeProviderRef(cmd.ProviderRef)
			h.inv.Providers = append(h.inv.Providers, lattice.ProviderDescription{ID: cmd.ProviderID, ImageRef: ref, Annotations: cmd.Annotations})
			b.emit(h.id, lattice.ProviderStarted{HostID: h.id, ImageRef: ref, ProviderID: cmd.ProviderID, Annotations: cmd.Annotations})
		})
		return nil
	})
}

func (b *bus) StopProvider(_ context.Context, host, id string) error {
	return b.ask(fmt.Sprintf("stop %s on %s", id, host), host, func(h *fakeHost) error {
		n := len(h.inv.Providers)
		h.inv.Providers = slices.DeleteFunc(h.inv.Providers, func(p lattice.ProviderDescription) bool { return p.ID == id })
		if len(h.inv.Providers) == n {
			return errors.New(lattice.MessageProviderAbsent)
		}
		b.emit(host, lattice.ProviderStopped{HostID: host, ProviderID: id})
		return nil
	})
}
