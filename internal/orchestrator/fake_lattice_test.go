package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

// bus is a lattice of simulated hosts: in memory, or on a server.
type bus struct {
	*sim.Lattice
	buckets sim.Buckets
	mirror  *mirror
	// wipe loses all that the buckets hold.
	wipe func()
	// other is somebody else who commands hosts.
	other *sim.Client
	// failing images never start, with this error.
	failing failures
	close   func()
}

type failures struct{ *sim.Lattice }

// latency is the way of a message, and how long a start takes.
const latency = 5 * time.Millisecond

func simConfig(seed uint64) sim.Config {
	return sim.Config{Seed: seed, CommandDelay: sim.Fixed(latency), StartDelay: sim.Fixed(latency), HealthFirst: -1}
}

// newBus makes a lattice in memory.
func newBus(seed uint64) *bus {
	memory, config := sim.NewMemory(), simConfig(seed)
	config.Buckets = memory
	l := mustHave(sim.New(config))
	return busOf(l, memory, memory.Wipe, l.Close)
}

func busOf(l *sim.Lattice, buckets sim.Buckets, wipe, end func()) *bus {
	m := follow(buckets)
	return &bus{Lattice: l, buckets: buckets, mirror: m, wipe: wipe, failing: failures{l},
		other: sim.NewClient(l, sim.ClientOptions{}), close: func() { m.close(); end() }}
}

// put makes an image fail; no error: it starts.
func (f failures) put(image, reason string) {
	f.SetFaults(func(f *sim.Faults) {
		if f.Failing[image] = reason; reason == "" {
			delete(f.Failing, image)
		}
	})
}

// start brings up a host; it is empty.
func (b *bus) start(id string, labels map[string]string) {
	b.Start(sim.Host{ID: id, Name: "host-" + id, Labels: labels})
}

func (b *bus) runs(host string) bool { return slices.Contains(b.Hosts(), host) }

// inventory is what a host runs.
func (b *bus) inventory(host string) lattice.Inventory {
	inv, _ := b.Inventory(host)
	return inv
}

// counts is what runs: id to instances over all hosts; providers count one.
func (b *bus) counts() map[string]int { return b.Instances() }

func (b *bus) links() (out []string) {
	for _, l := range b.storedLinks() {
		out = append(out, l.SourceID+"->"+l.Target)
	}
	return out
}

// storeConfig puts a configuration past the hosts. It fails in an outage; then there is nothing to store.
func (b *bus) storeConfig(name string, values lattice.Config) {
	b.write(sim.ConfigBucket, name, values)
}

func (b *bus) write(bucket sim.Bucket, key string, value any) {
	_ = b.buckets.Put(bucket, key, mustHave(lattice.Encode(value)))
}

func mustHave[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func linkName(k lattice.LinkKey) string {
	return fmt.Sprintf("%s -%s(%s:%s)->", k.SourceID, k.Name, k.WitNamespace, k.WitPackage)
}

// line is a connection to a lattice that keeps what is commanded over it.
type line struct {
	Control
	disconnect, reconnect func()
	// blinks: a connection that is cut comes back by itself.
	blinks bool
	mu     sync.Mutex
	// noUpdate: hosts have no command to exchange an image.
	noUpdate bool
	// untold: hosts do not tell what they run.
	untold atomic.Bool
	log    []string
}

func newLine(b *bus, window time.Duration) *line {
	c := sim.NewClient(b.Lattice, sim.ClientOptions{Window: window})
	return &line{Control: c, disconnect: c.Disconnect, reconnect: c.Connect}
}

// commands returns what was sent since the last call.
func (l *line) commands() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.log
	l.log = nil
	return out
}

func (l *line) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = append(l.log, fmt.Sprintf(format, args...))
}

func (l *line) HostInventory(ctx context.Context, host string) (lattice.Inventory, error) {
	if l.untold.Load() {
		return lattice.Inventory{}, sim.ErrTimeout
	}
	return l.Control.HostInventory(ctx, host)
}

func (l *line) ScaleComponent(ctx context.Context, cmd lattice.ScaleComponent) (string, error) {
	l.note("scale %s=%d %s on %s", cmd.ComponentID, cmd.Count, cmd.ComponentRef, cmd.HostID)
	return l.Control.ScaleComponent(ctx, cmd)
}

func (l *line) UpdateComponent(ctx context.Context, cmd lattice.UpdateComponent) (string, error) {
	l.note("update %s %s on %s", cmd.ComponentID, cmd.NewComponentRef, cmd.HostID)
	if l.noUpdate {
		return "", fmt.Errorf("update component: %w: %s", sim.ErrRefused, lattice.MessageUnsupportedSubject)
	}
	return l.Control.UpdateComponent(ctx, cmd)
}

func (l *line) StartProvider(ctx context.Context, cmd lattice.StartProvider) error {
	l.note("start %s %s on %s", cmd.ProviderID, cmd.ProviderRef, cmd.HostID)
	return l.Control.StartProvider(ctx, cmd)
}

func (l *line) StopProvider(ctx context.Context, host, id string) error {
	l.note("stop %s on %s", id, host)
	return l.Control.StopProvider(ctx, host, id)
}

func (l *line) PutLink(ctx context.Context, link lattice.Link) error {
	l.note("put link %s->%s %v", link.SourceID, link.Target, link.SourceConfig)
	return l.Control.PutLink(ctx, link)
}

func (l *line) DeleteLink(ctx context.Context, key lattice.LinkKey) error {
	l.note("delete link %s (%s)", key.SourceID, key.Name)
	return l.Control.DeleteLink(ctx, key)
}

func (l *line) PutConfig(ctx context.Context, name string, config lattice.Config) error {
	l.note("put config %s %v", name, map[string]string(config))
	return l.Control.PutConfig(ctx, name, config)
}

func (l *line) DeleteConfig(ctx context.Context, name string) error {
	l.note("delete config %s", name)
	return l.Control.DeleteConfig(ctx, name)
}
