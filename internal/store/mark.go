package store

import (
	"fmt"
	"sync"
)

// Keys of the stream's metadata: its random id, and the version of its layout.
const (
	metadataIdentity = "trellis-store-id"
	metadataFormat   = "trellis-store-format"
)

// markKeeper knows which stream is served. Once it has seen another one, nothing is served until accept.
type markKeeper struct {
	mu       sync.Mutex
	want     *Mark
	identity string
	changed  error
	raised   chan struct{} // closed when changed is set; nil while nobody waits
}

func (k *markKeeper) expect(m *Mark) {
	if m != nil {
		k.want = &Mark{Identity: m.Identity, Revision: m.Revision}
	}
}

// check compares a stream with the one that is served. The first one seen is served, unless something was expected.
func (k *markKeeper) check(state *streamState) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed != nil {
		return k.changed
	}
	id := state.Config.Metadata[metadataIdentity]
	switch {
	case k.want != nil && id != k.want.Identity:
		return k.raise(fmt.Sprintf("expected stream %q, found %q", k.want.Identity, id))
	case k.want != nil && state.State.LastSeq < k.want.Revision:
		return k.raise(fmt.Sprintf("revision %d was served before, the stream ends at %d",
			k.want.Revision, state.State.LastSeq))
	case k.identity != "" && id != k.identity:
		return k.raise(fmt.Sprintf("stream %q was replaced by %q", k.identity, id))
	}
	k.identity, k.want = id, nil
	return nil
}

// fail records a change that another check has found.
func (k *markKeeper) fail(why string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.raise(why)
}

// raise must be called with the lock held. The first reason stays.
func (k *markKeeper) raise(why string) error {
	if k.changed == nil {
		k.changed = storeChanged(why)
		if k.raised != nil {
			close(k.raised)
			k.raised = nil
		}
	}
	return k.changed
}

func (k *markKeeper) problem() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// alarm returns the problem, or a channel that is closed when there is one.
func (k *markKeeper) alarm() (<-chan struct{}, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed != nil {
		return nil, k.changed
	}
	if k.raised == nil {
		k.raised = make(chan struct{})
	}
	return k.raised, nil
}

func (k *markKeeper) accept() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.want, k.changed, k.identity = nil, nil, ""
}

func (k *markKeeper) id() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.identity
}

// Identity returns the id of the stream that is served, empty until it was read.
func (s *Store) Identity() string { return s.mark.id() }

// Served returns the mark to remember: the identity of the stream, and the highest revision this replica has served.
func (s *Store) Served() Mark {
	position, _ := s.index.where()
	return Mark{Identity: s.mark.id(), Revision: position}
}

// Changed returns ErrStoreChanged with the reason while nothing is served because of it, else nil.
func (s *Store) Changed() error { return s.mark.problem() }

// Accept serves the stream as it is now, after Changed; it is read again from its beginning.
func (s *Store) Accept() {
	s.reread.Store(true)
	s.mark.accept()
}
