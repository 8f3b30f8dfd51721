package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

func (b *bus) anyHost() bool {
	for _, h := range b.hosts {
		if !h.mute {
			return true
		}
	}
	return false
}

var errNoHost = errors.New("no host listens")

func (b *bus) PutLink(_ context.Context, l lattice.Link) error {
	verb := fmt.Sprintf("put link %s->%s %v", l.SourceID, l.Target, l.SourceConfig)
	return b.ask(verb, "", func(*fakeHost) error {
		if !b.anyHost() {
			return errNoHost
		}
		for _, name := range slices.Concat(l.SourceConfig, l.TargetConfig) {
			if _, ok := b.configs[name]; !ok {
				return errors.New(lattice.MessageMissingConfig([]string{name}))
			}
		}
		spec := b.specs[l.SourceID]
		links := slices.Clone(spec.Links)
		for i, old := range links {
			if old.Key() != l.Key() {
				continue
			}
			if old.Target == l.Target {
				links[i] = l
				b.putSpec(l.SourceID, lattice.ComponentSpec{URL: spec.URL, Links: links})
				return nil
			}
			return errors.New(lattice.MessageLinkConflict)
		}
		b.putSpec(l.SourceID, lattice.ComponentSpec{URL: spec.URL, Links: append(links, l)})
		return nil
	})
}

func (b *bus) DeleteLink(_ context.Context, key lattice.LinkKey) error {
	return b.ask(fmt.Sprintf("delete link %s (%s)", key.SourceID, key.Name), "", func(*fakeHost) error {
		if !b.anyHost() {
			return errNoHost
		}
		spec := b.specs[key.SourceID]
		links := slices.DeleteFunc(slices.Clone(spec.Links), func(l lattice.Link) bool { return l.Key() == key })
		b.putSpec(key.SourceID, lattice.ComponentSpec{URL: spec.URL, Links: links})
		return nil
	})
}

func (b *bus) putSpec(id string, spec lattice.ComponentSpec) {
	b.specs[id] = spec
	c := lattice.SpecChange{Kind: lattice.ChangePut, Name: id, Value: spec, Time: time.Now()}
	b.each(func(f *feed) func() {
		if f.specs == nil {
			return nil
		}
		return func() { f.specs(c) }
	})
}

func (b *bus) PutConfig(_ context.Context, name string, config lattice.Config) error {
	return b.ask(fmt.Sprintf("put config %s %v", name, map[string]string(config)), "", func(*fakeHost) error {
		if !b.anyHost() {
			return errNoHost
		}
		b.putConfig(name, config)
		return nil
	})
}

func (b *bus) putConfig(name string, config lattice.Config) {
	b.configs[name] = maps.Clone(config)
	b.confChanged(lattice.ConfigChange{Kind: lattice.ChangePut, Name: name, Value: config, Time: time.Now()})
}

func (b *bus) confChanged(c lattice.ConfigChange) {
	b.each(func(f *feed) func() {
		if f.confs == nil {
			return nil
		}
		return func() { f.confs(c) }
	})
}

func (b *bus) DeleteConfig(_ context.Context, name string) error {
	return b.ask("delete config "+name, "", func(*fakeHost) error {
		for id, spec := range b.specs {
			for _, l := range spec.Links {
				if slices.Contains(slices.Concat(l.SourceConfig, l.TargetConfig), name) {
					return fmt.Errorf("configuration %s deleted while link of %s uses it", name, id)
				}
			}
		}
		delete(b.configs, name)
		b.confChanged(lattice.ConfigChange{Kind: lattice.ChangeDelete, Name: name})
		return nil
	})
}

// start brings up a host; it is empty, and sends heartbeats until it ends.
func (b *bus) start(ctx context.Context, id string, labels map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := &fakeHost{id: id, inv: lattice.Inventory{FriendlyName: "host-" + id, Labels: labels, Version: "1.9.2"}}
	b.hosts[id] = h
	b.emit(id, lattice.HostStarted{FriendlyName: h.inv.FriendlyName, Labels: labels})
	go func() {
		ticker := time.NewTicker(30 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			b.mu.Lock()
			if b.hosts[id] != h {
				b.mu.Unlock()
				return
			}
			if !h.mute {
				b.emit(id, lattice.HostHeartbeat{Inventory: h.inventory()})
			}
			b.mu.Unlock()
		}
	}()
}

// kill ends a host without a word; stop with.
func (b *bus) kill(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.hosts, id)
}

func (b *bus) stop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.hosts, id)
	b.emit(id, lattice.HostStopped{})
}

// setDown cuts or mends our connection.
func (b *bus) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
	b.each(func(f *feed) func() {
		if f.gap == nil {
			return nil
		}
		return func() { f.gap(errDown) }
	})
}

// commands returns what was sent since the last call.
func (b *bus) commands() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.log
	b.log = nil
	return out
}

// counts is what runs: id to instances over all hosts; providers count one.
func (b *bus) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{}
	for _, h := range b.hosts {
		for _, c := range h.inv.Components {
			out[c.ID] += int(c.MaxInstances)
		}
		for _, p := range h.inv.Providers {
			out[p.ID]++
		}
	}
	return out
}

func (b *bus) links() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, spec := range b.specs {
		for _, l := range spec.Links {
			out = append(out, l.SourceID+"->"+l.Target)
		}
	}
	slices.Sort(out)
	return out
}
