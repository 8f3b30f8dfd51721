package sim

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory are buckets in memory. They are safe for concurrent use; watchers are called while an entry is written.
type Memory struct {
	mu       sync.Mutex
	entries  [2]map[string]Entry
	watchers [2]map[int]func(Entry)
	next     int
	down     bool
	writes   time.Duration
}

var _ Buckets = (*Memory)(nil)

// NewMemory makes empty buckets.
func NewMemory() *Memory {
	m := &Memory{}
	for i := range m.entries {
		m.entries[i], m.watchers[i] = map[string]Entry{}, map[int]func(Entry){}
	}
	return m
}

// Get reads an entry.
func (m *Memory) Get(bucket Bucket, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, false, ErrUnavailable
	}
	e, found := m.entries[bucket][key]
	return bytes.Clone(e.Value), found, nil
}

// Put writes an entry.
func (m *Memory) Put(bucket Bucket, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return ErrUnavailable
	}
	e := Entry{Key: key, Value: append([]byte{}, value...), Time: m.clock()}
	m.entries[bucket][key] = e
	m.report(bucket, e)
	return nil
}

// Purge removes an entry.
func (m *Memory) Purge(bucket Bucket, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return ErrUnavailable
	}
	delete(m.entries[bucket], key)
	m.report(bucket, Entry{Key: key, Time: m.clock()})
	return nil
}

// clock is the server's: no two entries have one time, also where time stands still.
func (m *Memory) clock() time.Time {
	m.writes++
	return time.Now().Add(m.writes)
}

// Watch reports a bucket; one that is down is reported when it is back.
func (m *Memory) Watch(bucket Bucket, report func(Entry)) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next++
	id := m.next
	m.watchers[bucket][id] = report
	if !m.down {
		m.replay(bucket, report)
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers[bucket], id)
	}, nil
}

// SetDown begins or ends an outage. At its end watches begin anew.
func (m *Memory) SetDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down && !down {
		m.replayAll()
	}
	m.down = down
}

// Wipe makes both buckets new and empty, as after the loss of JetStream's disk.
func (m *Memory) Wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.entries {
		m.entries[i] = map[string]Entry{}
	}
	if !m.down {
		m.replayAll()
	}
}

// Keys are the keys of a bucket, in order.
func (m *Memory) Keys(bucket Bucket) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.entries[bucket]))
}

func (m *Memory) report(bucket Bucket, e Entry) {
	for _, id := range slices.Sorted(maps.Keys(m.watchers[bucket])) {
		m.watchers[bucket][id](e)
	}
}

func (m *Memory) replayAll() {
	for i := range m.watchers {
		for _, id := range slices.Sorted(maps.Keys(m.watchers[i])) {
			m.replay(Bucket(i), m.watchers[i][id])
		}
	}
}

func (m *Memory) replay(bucket Bucket, report func(Entry)) {
	report(Entry{Reset: true})
	for _, key := range slices.Sorted(maps.Keys(m.entries[bucket])) {
		report(m.entries[bucket][key])
	}
	report(Entry{Synced: true})
}
