package sim

import (
	"context"
	"sync"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// feed calls functions one after the other, in a goroutine of its own, without a limit of what may wait.
type feed struct {
	mu      sync.Mutex
	waiting []func()
	held    bool
	news    chan struct{}
}

func newFeed() *feed { return &feed{news: make(chan struct{}, 1)} }

func (f *feed) push(call func()) {
	f.mu.Lock()
	f.waiting = append(f.waiting, call)
	f.mu.Unlock()
	f.ring()
}

// hold keeps what waits, or lets it go.
func (f *feed) hold(held bool) {
	f.mu.Lock()
	f.held = held
	f.mu.Unlock()
	f.ring()
}

func (f *feed) ring() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *feed) take() []func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held {
		return nil
	}
	calls := f.waiting
	f.waiting = nil
	return calls
}

func (f *feed) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.news:
		}
		for _, call := range f.take() {
			if ctx.Err() != nil {
				return
			}
			call()
		}
	}
}

// open runs a feed until ctx ends; gap is nil for watches.
func (c *Client) open(ctx context.Context, f *feed, gap func(error), stop func()) <-chan struct{} {
	c.mu.Lock()
	c.feeds[f] = gap
	if gap == nil {
		f.hold(c.down)
	}
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.run(ctx)
		stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.feeds, f)
	}()
	return done
}

// Events calls handle for each event of the lattice until ctx ends. Events that cannot be read are skipped.
func (c *Client) Events(ctx context.Context, handle func(lattice.Event), gap func(error)) (<-chan struct{}, error) {
	if !c.Connected() {
		return nil, ErrDisconnected
	}
	if gap == nil {
		gap = func(error) {}
	}
	f := newFeed()
	stop := c.l.Subscribe(func(m Message) {
		if c.Connected() {
			f.push(func() {
				if e, err := lattice.DecodeEvent(m.Data); err == nil {
					handle(e)
				}
			})
		}
	})
	return c.open(ctx, f, gap, stop), nil
}

// WatchLattice reports the records of components and providers: ChangeReset, every record, ChangeSynced, then changes.
func (c *Client) WatchLattice(ctx context.Context, handle func(lattice.SpecChange)) <-chan struct{} {
	return watch(ctx, c, DataBucket, func(key string) (string, bool) {
		parsed, err := lattice.ParseDataKey(key)
		return parsed.ComponentID, err == nil && parsed.ComponentID != ""
	}, handle)
}

// WatchConfig reports the named configurations, in the way of WatchLattice.
func (c *Client) WatchConfig(ctx context.Context, handle func(lattice.ConfigChange)) <-chan struct{} {
	return watch(ctx, c, ConfigBucket, func(key string) (string, bool) { return key, true }, handle)
}

func watch[T any](ctx context.Context, c *Client, bucket Bucket, name func(string) (string, bool),
	handle func(lattice.Change[T])) <-chan struct{} {
	f := newFeed()
	stop, err := c.l.buckets.Watch(bucket, func(e Entry) { f.push(func() { report(e, name, handle) }) })
	if err != nil { // buckets in memory can always be watched
		stop = func() {}
	}
	return c.open(ctx, f, nil, stop)
}

func report[T any](e Entry, name func(string) (string, bool), handle func(lattice.Change[T])) {
	switch {
	case e.Reset:
		handle(lattice.Change[T]{Kind: lattice.ChangeReset})
		return
	case e.Synced:
		handle(lattice.Change[T]{Kind: lattice.ChangeSynced})
		return
	}
	id, ours := name(e.Key)
	if !ours {
		return
	}
	if value, err := lattice.Decode[T](e.Value); err == nil && e.Value != nil {
		handle(lattice.Change[T]{Kind: lattice.ChangePut, Name: id, Value: value, Time: e.Time})
		return
	}
	handle(lattice.Change[T]{Kind: lattice.ChangeDelete, Name: id})
}
