package store

import (
	"encoding/json"
	"sort"
	"sync"
	"time"

	"k8s.io/utils/third_party/forked/golang/btree"
)

// incoming is a message of the stream on its way into the index.
type incoming struct {
	tail    string // of the subject
	seq     uint64
	time    time.Time
	version *version // nil for a meta message
	body    []byte   // of a meta message
}

// history is all that is known of one object, oldest version first.
type history struct {
	key      string
	tail     string // of the subject
	own      bool   // of the cluster that is served
	versions []*version
}

func (h *history) newest() *version { return h.versions[len(h.versions)-1] }

// at returns the version that was valid at a revision, nil when there was none.
func (h *history) at(revision uint64) *version {
	i := h.upTo(revision)
	if i == 0 {
		return nil
	}
	return h.versions[i-1]
}

// upTo is the number of versions that are not newer than a revision.
func (h *history) upTo(revision uint64) int {
	if h.newest().seq <= revision {
		return len(h.versions)
	}
	return sort.Search(len(h.versions), func(i int) bool { return h.versions[i].seq > revision })
}

// logEntry is one change, in the order of revisions.
type logEntry struct {
	seq  uint64
	time time.Time
	of   *history // nil for messages that are not objects of the served cluster
	meta bool     // not an object at all
}

// index is a replica's copy of the stream: every key with its versions since the compact revision, and the log of
// changes that watches follow. It is written by one goroutine, the one that follows the stream.
type index struct {
	cluster string

	mu        sync.RWMutex
	keys      *btree.BTree[*history]
	byKey     map[string]*history
	log       []logEntry
	position  uint64 // every message up to here has been applied
	lastTime  time.Time
	compacted uint64
	record    uint64 // sequence of the compact record that set compacted
	reserveAt uint64 // sequence of the reserve
	garbage   garbage
	expiring  map[*history]time.Time
	old       superseded
	keepBytes int // of superseded versions
	life      int // grows when the content has nothing to do with the one before
	pokes     uint64
	closed    bool
	wake      chan struct{} // closed at the next change; nil while nobody waits

	compactions chan struct{} // gets a value after a compaction
}

func newIndex(cluster string) *index {
	x := &index{cluster: cluster, compactions: make(chan struct{}, 1)}
	x.clear()
	return x
}

func (x *index) clear() {
	x.keys = btree.New(32, func(a, b *history) bool { return a.key < b.key })
	x.byKey = map[string]*history{}
	x.log, x.position, x.compacted, x.record, x.old = nil, 0, 0, 0, superseded{}
	x.reserveAt = 0
	x.garbage = newGarbage()
	x.expiring = map[*history]time.Time{}
}

// adopt replaces the content by that of another index, which nobody else uses. Watches that need what lies before the
// new compact revision end with "expired"; all of them do when the content is of another stream.
func (x *index) adopt(from *index, other bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keys, x.byKey, x.log, x.garbage, x.expiring = from.keys, from.byKey, from.log, from.garbage, from.expiring
	x.position, x.lastTime, x.reserveAt = from.position, from.lastTime, from.reserveAt
	x.compacted, x.record, x.old, x.keepBytes = from.compacted, from.record, from.old, from.keepBytes
	if other {
		x.life++
	}
	x.wakeAll()
}

// apply adds the next message of the stream.
func (x *index) apply(m incoming) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m.seq <= x.position {
		return
	}
	at, meta, ok := parseTail(m.tail)
	entry := logEntry{seq: m.seq, time: m.time, meta: !ok || meta != ""}
	switch {
	case !ok:
	case meta == metaCompact:
		x.applyCompact(m)
	case meta == metaReserve:
		x.reserveAt = m.seq
	case meta == "":
		h := x.add(at, m)
		if h.own {
			entry.of = h
		}
	}
	x.log = append(x.log, entry)
	x.position, x.lastTime = m.seq, m.time
	x.wakeAll()
}

func (x *index) add(at location, m incoming) *history {
	key := at.key()
	h := x.byKey[key]
	if h == nil {
		h = &history{key: key, tail: m.tail, own: at.cluster == x.cluster}
		x.byKey[key] = h
		h.versions = []*version{m.version}
		x.keys.ReplaceOrInsert(h)
	} else {
		x.old.add(h, h.newest())
		h.versions = append(h.versions, m.version)
	}
	if !h.own {
		m.version.body = nil
	}
	if m.version.deleted {
		x.old.add(h, m.version)
	}
	x.old.shed(x.keepBytes)
	if h.own && m.version.live() && !m.version.expires.IsZero() {
		x.expiring[h] = m.version.expires
	} else {
		delete(x.expiring, h)
	}
	return h
}

func (x *index) applyCompact(m incoming) {
	var record compactRecord
	if err := json.Unmarshal(m.body, &record); err != nil || record.Revision >= m.seq {
		return // nobody of ours wrote that
	}
	x.record = m.seq
	x.compact(record.Revision)
	x.garbage.below(m.tail, m.seq)
	select {
	case x.compactions <- struct{}{}:
	default: // nobody has looked at the one before
	}
}

// compact forgets what no read at or after a revision needs.
func (x *index) compact(revision uint64) {
	if revision <= x.compacted {
		return
	}
	x.compacted = revision
	x.garbage.next(x.record)
	cut := sort.Search(len(x.log), func(i int) bool { return x.log[i].seq > revision })
	for _, entry := range x.log[:cut] {
		if entry.of != nil {
			x.trim(entry.of, revision)
		}
	}
	x.trimForeign(revision)
	x.log = append([]logEntry(nil), x.log[cut:]...)
	x.old.tidy()
}

// trimForeign trims the objects of other clusters: they are not in the log, but whoever wins the compaction cleans up
// after everybody.
func (x *index) trimForeign(revision uint64) {
	for _, h := range x.byKey {
		if !h.own {
			x.trim(h, revision)
		}
	}
}

// trim drops the versions of an object that a compaction gives up and notes what can be purged for it.
func (x *index) trim(h *history, revision uint64) {
	n := h.upTo(revision)
	if n == 0 || x.byKey[h.key] != h {
		return
	}
	keep := h.versions[n-1]
	if n > 1 {
		x.garbage.below(h.tail, keep.seq)
		x.old.drop(h.versions[:n-1])
		h.versions = append([]*version(nil), h.versions[n-1:]...)
	}
	if !keep.deleted {
		return
	}
	x.garbage.tombstone(h.tail, keep.seq)
	x.old.drop(h.versions[:1])
	if len(h.versions) > 1 {
		h.versions = h.versions[1:]
		return
	}
	x.keys.Delete(h)
	delete(x.byKey, h.key)
}

func (x *index) wakeAll() {
	if x.wake != nil {
		close(x.wake)
		x.wake = nil
	}
}

// purged notes that another replica has removed the garbage of compactions up to a record.
func (x *index) purged(record uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.garbage.purged(record)
}

// poke asks every watch that wants progress notes for one.
func (x *index) poke() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pokes++
	x.wakeAll()
}

func (x *index) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	x.wakeAll()
}
