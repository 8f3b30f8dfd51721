package store

import (
	"context"
	"sort"
	"time"
)

// item is a version with the key that it belongs to.
type item struct {
	key string
	*version
}

// get returns the newest version of a key, which may be a tombstone, or nil; and the position it was read at.
func (x *index) get(key string) (*version, uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	h := x.byKey[key]
	if h == nil {
		return nil, x.position
	}
	return h.newest(), x.position
}

// find returns the version of a key with a sequence, or nil.
func (x *index) find(key string, match func(*version) bool) *version {
	x.mu.RLock()
	defer x.mu.RUnlock()
	h := x.byKey[key]
	if h == nil {
		return nil
	}
	for i := len(h.versions) - 1; i >= 0; i-- {
		if match(h.versions[i]) {
			return h.versions[i]
		}
	}
	return nil
}

// since returns the newest sequence of a key, 0 for none, and the sequence of the version after a revision that has a
// message id, 0 when there is none.
func (x *index) since(key string, revision uint64, id string) (newest, own uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	h := x.byKey[key]
	if h == nil {
		return 0, 0
	}
	for i := len(h.versions) - 1; i >= 0 && h.versions[i].seq > revision; i-- {
		if h.versions[i].id == id {
			own = h.versions[i].seq
		}
	}
	return h.newest().seq, own
}

// alive tells one content of the index from the next, unrelated one.
func (x *index) alive() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.life
}

// where returns the position and the compact revision.
func (x *index) where() (position, compacted uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.position, x.compacted
}

// scan returns what lives in [from, to) at a revision, in the order of keys. Revision 0 is now. ok is false when that
// revision was compacted.
func (x *index) scan(from, to string, revision uint64) (items []item, at uint64, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at = revision
	if at == 0 {
		at = x.position
	}
	if at < x.compacted {
		return nil, 0, false
	}
	x.keys.AscendRange(&history{key: from}, &history{key: to}, func(h *history) bool {
		if v := h.at(at); v.live() {
			items = append(items, item{key: h.key, version: v})
		}
		return true
	})
	return items, at, true
}

// change is one entry of the log with the state before it.
type change struct {
	key       string
	now, prev *version
}

// changes is what a watch reads at once.
type changes struct {
	list   []change
	cursor uint64 // everything up to here is in the list or did not match
	pokes  uint64
	wake   <-chan struct{} // closed when there is more; set only when the list is empty
	gone   bool            // the watch is behind the compact revision
	closed bool
}

// changesAfter returns the next changes after a revision whose keys match, at most limit. Life is what x.alive returned
// when the revision was taken.
func (x *index) changesAfter(cursor uint64, life int, match func(key string) bool, limit int) changes {
	x.mu.RLock()
	out := x.readLog(cursor, life, match, limit)
	x.mu.RUnlock()
	if len(out.list) > 0 || out.gone || out.closed {
		return out
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.position > out.cursor || x.pokes != out.pokes || x.closed {
		out = x.readLog(cursor, life, match, limit) // it moved between the two locks
	}
	if len(out.list) == 0 && !out.gone && !out.closed {
		out.wake = x.waker()
	}
	return out
}

func (x *index) readLog(cursor uint64, life int, match func(key string) bool, limit int) changes {
	gone := cursor < x.compacted || life != x.life
	out := changes{cursor: max(cursor, x.position), pokes: x.pokes, gone: gone, closed: x.closed}
	if out.gone || out.closed {
		return out
	}
	first := sort.Search(len(x.log), func(i int) bool { return x.log[i].seq > cursor })
	for _, entry := range x.log[first:] {
		if entry.of == nil || !match(entry.of.key) {
			continue
		}
		if len(out.list) == limit {
			out.cursor = out.list[limit-1].now.seq
			return out
		}
		n := entry.of.upTo(entry.seq)
		c := change{key: entry.of.key, now: entry.of.versions[n-1]}
		if n > 1 && entry.of.versions[n-2].live() {
			c.prev = entry.of.versions[n-2]
		}
		out.list = append(out.list, c)
	}
	return out
}

// waker must be called with the lock held for writing.
func (x *index) waker() <-chan struct{} {
	if x.wake == nil {
		x.wake = make(chan struct{})
	}
	return x.wake
}

// changed returns a channel that is closed at the next change.
func (x *index) changed() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.waker()
}

// reach waits until the index has a revision.
func (x *index) reach(ctx context.Context, revision uint64) error {
	for {
		x.mu.Lock()
		if x.closed {
			x.mu.Unlock()
			return errClosed
		}
		if x.position >= revision {
			x.mu.Unlock()
			return nil
		}
		wake := x.waker()
		x.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// compactable returns the revision of the newest object that was written before a time; 0 when there is none since the
// compact revision. Messages that are no objects don't count, so that a store at rest writes no compact records.
func (x *index) compactable(before time.Time) uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := sort.Search(len(x.log), func(i int) bool { return !x.log[i].time.Before(before) })
	for ; n > 0; n-- {
		if entry := x.log[n-1]; !entry.meta {
			return entry.seq
		}
	}
	return 0
}
