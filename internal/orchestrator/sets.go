package orchestrator

import "sync"

// appKey names an application.
type appKey struct{ namespace, name string }

// unitKey names what is planned: an application or a teardown record.
type unitKey struct {
	app    appKey
	record string
}

// dirtySet is a queue in which everything stands at most once.
type dirtySet struct {
	queue []unitKey
	in    map[unitKey]bool
}

func (d *dirtySet) add(k unitKey) {
	if d.in == nil {
		d.in = map[unitKey]bool{}
	}
	if !d.in[k] {
		d.in[k] = true
		d.queue = append(d.queue, k)
	}
}

func (d *dirtySet) pop() (unitKey, bool) {
	if len(d.queue) == 0 {
		return unitKey{}, false
	}
	k := d.queue[0]
	d.queue = d.queue[1:]
	if len(d.queue) == 0 {
		d.queue = nil
	}
	delete(d.in, k)
	return k, true
}

func (d *dirtySet) empty() bool { return len(d.queue) == 0 }

// changedApps collects the names of changed applications from any goroutine without ever blocking it.
type changedApps struct {
	signal chan struct{}
	mu     sync.Mutex
	keys   map[appKey]bool
	every  bool
}

func (c *changedApps) add(k appKey) {
	c.mu.Lock()
	c.keys[k] = true
	c.mu.Unlock()
	c.wake()
}

// all asks for the whole list.
func (c *changedApps) all() {
	c.mu.Lock()
	c.every = true
	c.mu.Unlock()
	c.wake()
}

func (c *changedApps) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

func (c *changedApps) take() (keys map[appKey]bool, every bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys, every = c.keys, c.every
	c.keys, c.every = map[appKey]bool{}, false
	return keys, every
}
