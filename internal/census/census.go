// Package census knows which hosts of a lattice are alive and what each of them runs. Every process that shows hosts or
// endpoints counts for itself: it asks once, and then listens to heartbeats and events.
package census

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const (
	// DefaultHeartbeat is the pause between two heartbeats of a host, unless it was told otherwise.
	DefaultHeartbeat = 30 * time.Second

	// missed heartbeats after which a silent host is asked, and left out if it does not answer.
	missed        = 2.5
	checkInterval = time.Second
	pingRetry     = 2 * time.Second
	askAtOnce     = 8
)

// Control is the way to the hosts; internal/control satisfies it.
type Control interface {
	// Ping gathers the answers of all hosts.
	Ping(ctx context.Context) ([]lattice.HostPing, error)
	HostInventory(ctx context.Context, host string) (lattice.Inventory, error)
	// Events reports what hosts publish; gap is called when some of it may have been missed.
	Events(ctx context.Context, handle func(lattice.Event), gap func(error)) (done <-chan struct{}, err error)
}

// Host is a host that is alive.
type Host struct {
	ID        string
	Inventory lattice.Inventory
	// StartedAt is when the host began, by its own uptime.
	StartedAt time.Time
	// Silent says that the host did not answer the last Roll, though its heartbeats are not overdue yet.
	Silent bool
}

// Census counts the hosts of one lattice. It is safe for concurrent use.
type Census struct {
	control   Control
	heartbeat time.Duration
	now       func() time.Time
	changed   func(what []string)

	mu    sync.Mutex
	why   error // why the count cannot be trusted now; nil when it can
	hosts map[string]*entry
	// running are the hosts of each component and provider, by its id: asking all hosts for each of thousands of
	// applications would take most of the time.
	running map[string]map[string]bool
	dirty   map[string]bool
	askAll  bool
	wake    chan struct{}
}

type entry struct {
	host  Host
	heard time.Time
}

// ErrNotYet says that the hosts were not asked yet.
var ErrNotYet = errors.New("the hosts of the lattice were not asked yet")

// Options of a Census.
type Options struct {
	// Heartbeat is the pause between two heartbeats. Default: DefaultHeartbeat.
	Heartbeat time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Changed is called, from any goroutine and without blocking it, when a host or what it runs has changed. What are the
	// ids of components and providers that run on other hosts than before, or on hosts with other labels; none if nothing
	// that runs has moved, and nil if anything may have.
	Changed func(what []string)
}

// New returns a census that knows nothing before Run.
func New(control Control, o Options) *Census {
	if o.Heartbeat <= 0 {
		o.Heartbeat = DefaultHeartbeat
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func([]string) {}
	}
	return &Census{
		control: control, heartbeat: o.Heartbeat, now: o.Now, changed: o.Changed,
		why: ErrNotYet, hosts: map[string]*entry{}, running: map[string]map[string]bool{}, dirty: map[string]bool{}, wake: make(chan struct{}, 1),
	}
}

// Hosts returns the hosts that are alive, sorted by id; the error says why they are not known now. What it returns is
// shared and must not be changed.
func (c *Census) Hosts() ([]Host, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return nil, c.why
	}
	hosts := make([]Host, 0, len(c.hosts))
	for _, e := range c.hosts {
		hosts = append(hosts, e.host)
	}
	slices.SortFunc(hosts, func(a, b Host) int { return strings.Compare(a.ID, b.ID) })
	return hosts, nil
}

// Run counts until ctx ends.
func (c *Census) Run(ctx context.Context) error {
	done, err := c.subscribe(ctx)
	if err != nil {
		return nil // ctx has ended
	}
	defer func() { <-done }()
	c.lost(ErrNotYet)
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-ticker.C:
			c.expire()
		}
		c.ask(ctx)
	}
}

// subscribe tries until it succeeds or ctx ends.
func (c *Census) subscribe(ctx context.Context) (<-chan struct{}, error) {
	for {
		done, err := c.control.Events(ctx, c.hear, c.lost)
		if err == nil {
			return done, nil
		}
		c.setWhy(err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pingRetry):
		}
	}
}

// ask asks everybody after a gap, and otherwise each host of which something is unclear.
func (c *Census) ask(ctx context.Context) {
	c.mu.Lock()
	all, dirty := c.askAll, c.dirty
	c.askAll, c.dirty = false, map[string]bool{}
	c.mu.Unlock()
	if all && !c.askEverybody(ctx) {
		return
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askAtOnce)
	for id := range dirty {
		group.Go(func() error { c.askHost(ctx, id); return nil })
	}
	_ = group.Wait() // a host that does not answer is a fact, not an error
}

func (c *Census) askEverybody(ctx context.Context) bool {
	pings, err := c.control.Ping(ctx)
	if err != nil {
		c.setWhy(err)
		time.AfterFunc(pingRetry, func() { c.mark("", true) })
		return false
	}
	c.mu.Lock()
	alive := map[string]bool{}
	for _, p := range pings {
		alive[p.ID] = true
	}
	for id, known := range c.hosts {
		if !alive[id] {
			c.move(id, known, nil)
		}
	}
	c.mu.Unlock()
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(askAtOnce)
	for _, p := range pings {
		group.Go(func() error { c.askHost(inner, p.ID); return nil })
	}
	_ = group.Wait()
	c.setWhy(nil)
	return true
}

func (c *Census) askHost(ctx context.Context, id string) {
	inventory, err := c.control.HostInventory(ctx, id)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		c.forget(id)
		return
	}
	c.put(id, inventory)
}
