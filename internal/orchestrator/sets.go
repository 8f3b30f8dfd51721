package orchestrator

import "sync"

// appKey names an application.
type appKey struct{ namespace, name string }

// unitKey names what is planned: an application or a teardown record.
type unitKey struct {
	app    appKey
	record string
}

// queue is one in which everything stands at most once.
type queue[K comparable] struct {
	waiting []K
	in      map[K]bool
}

func (q *queue[K]) add(k K) {
	if q.in == nil {
		q.in = map[K]bool{}
	}
	if !q.in[k] {
		q.in[k] = true
		q.waiting = append(q.waiting, k)
	}
}

func (q *queue[K]) pop() (first K, ok bool) {
	if len(q.waiting) == 0 {
		return first, false
	}
	first = q.waiting[0]
	q.waiting = q.waiting[1:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	delete(q.in, first)
	return first, true
}

func (q *queue[K]) empty() bool { return len(q.waiting) == 0 }

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
