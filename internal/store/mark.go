package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
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
	floor    uint64        // the highest revision that anybody is known to have served, of whatever stream
	missing  time.Time     // since when there is no stream; zero while there is one
}

// expect takes over a mark that was kept. Without an identity it only says which revisions were used up.
func (k *markKeeper) expect(m *Mark) {
	if m == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.floor = max(k.floor, m.Revision)
	if m.Identity != "" {
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
	k.missing = time.Time{}
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

// patience with a stream that is not there: the leader of a replicated one may have to be found first.
const (
	missingPatience           = 3 * time.Second
	missingPatienceReplicated = 10 * time.Second
)

// absent is told that there is no stream. It says whether one may be made, because none was ever served; a stream that
// was, and stays away, is a change.
func (k *markKeeper) absent(now time.Time, replicas int) (create bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed != nil {
		return false, k.changed
	}
	if k.identity == "" && k.want == nil {
		return true, nil
	}
	if k.missing.IsZero() {
		k.missing = now
	}
	patience := missingPatience
	if replicas > 1 {
		patience = missingPatienceReplicated
	}
	if now.Sub(k.missing) < patience {
		return false, nil
	}
	return false, k.raise(fmt.Sprintf("stream %q is gone", k.served()))
}

// served is the identity that must be found. The lock must be held.
func (k *markKeeper) served() string {
	if k.want != nil {
		return k.want.Identity
	}
	return k.identity
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

// accept forgets what was served, up to a revision.
func (k *markKeeper) accept(position uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.floor = max(k.floor, position)
	k.want, k.changed, k.identity, k.missing = nil, nil, "", time.Time{}
}

// back ends a change if the stream is the one that was served before it.
func (k *markKeeper) back(state *streamState, position uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	least := position
	if k.want != nil {
		least = max(least, k.want.Revision)
	}
	if state.Config.Metadata[metadataIdentity] != k.served() || state.State.LastSeq < least {
		return false
	}
	k.changed, k.missing = nil, time.Time{}
	return true
}

// first is the first sequence of a stream that is made now: above all that was used, so that no revision comes twice.
func (k *markKeeper) first() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return NextGeneration(k.floor)
}

func (k *markKeeper) id() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.identity
}

// Identity returns the id of the stream that is served, empty until it was read.
func (s *Store) Identity() string { return s.mark.id() }

// Served returns the mark to remember: the identity of the stream, and the highest revision this replica has served. It
// is zero until the stream was read.
func (s *Store) Served() Mark {
	position, _ := s.index.where()
	if position == 0 || s.rereading() {
		return Mark{}
	}
	return Mark{Identity: s.mark.id(), Revision: position}
}

// Changed returns ErrStoreChanged with the reason while nothing is served because of it, else nil.
func (s *Store) Changed() error { return s.mark.problem() }

// Accept serves the stream as it is now, after Changed; it is read again from its beginning. Where there is none, one is
// made.
func (s *Store) Accept() { s.AcceptOnly(Mark{}) }

// AcceptOnly is Accept if the stream has an identity and ends at a revision or later; otherwise it is Changed again.
func (s *Store) AcceptOnly(m Mark) {
	position, _ := s.index.where()
	s.rereads.Add(1)
	s.mark.accept(position)
	s.mark.expect(&m)
	s.link.renew()
}

// Alarm returns a channel that is closed when the store has changed, or nil when it has already.
func (s *Store) Alarm() <-chan struct{} {
	alarm, _ := s.mark.alarm()
	return alarm
}

// Verify asks the leader whether the stream is the one that is served, now and over the present connection.
func (s *Store) Verify(ctx context.Context) error {
	if err := s.mark.problem(); err != nil {
		return err
	}
	position, _ := s.index.where()
	state, err := s.api.info(ctx)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", s.cfg.Stream, err)
	}
	if err := s.mark.check(state); err != nil {
		return err
	}
	return s.checkEnd(ctx, state, position)
}

// Found returns the mark of the stream that there is, whether it is served or not; a zero Mark when there is none.
func (s *Store) Found(ctx context.Context) (Mark, error) {
	state, err := s.api.info(ctx)
	if isCode(err, codeStreamNotFound) {
		return Mark{}, nil
	}
	if err != nil {
		return Mark{}, fmt.Errorf("look up stream %s: %w", s.cfg.Stream, err)
	}
	if err := checkFormat(state); err != nil {
		return Mark{}, err
	}
	return Mark{Identity: state.Config.Metadata[metadataIdentity], Revision: state.State.LastSeq}, nil
}

// Recheck looks, after Changed, whether the stream that was served is back, whole; then it is served again.
func (s *Store) Recheck(ctx context.Context) (back bool, err error) {
	position, _ := s.index.where()
	if s.rereading() {
		position = 0
	}
	state, err := s.api.info(ctx)
	if isCode(err, codeStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up stream %s: %w", s.cfg.Stream, err)
	}
	if position > 0 {
		same, err := s.sameAt(ctx, position)
		if err != nil || !same {
			return false, err
		}
	}
	return s.mark.back(state, position), nil
}

// sameAt says whether the stream has the message at a revision that was read there.
func (s *Store) sameAt(ctx context.Context, position uint64) (bool, error) {
	found, err := s.api.at(ctx, position)
	if err != nil || found == nil { // purged since: nothing to compare
		return err == nil, err
	}
	s.index.mu.RLock()
	defer s.index.mu.RUnlock()
	return s.index.position != position || found.time.Equal(s.index.lastTime), nil
}

// Current returns the revision that the stream has now, once this replica has it too.
func (s *Store) Current(ctx context.Context) (uint64, error) { return s.current(ctx) }

// generationBits are the lower bits of a revision. A stream that takes the place of another begins at the next multiple
// of 2^generationBits: more than was ever written to the one before, known or not.
const generationBits = 40

// NextGeneration is the first revision of a stream that follows one which was served up to a revision; 1 for the first.
func NextGeneration(served uint64) uint64 {
	if served == 0 {
		return 1
	}
	return (served>>generationBits + 1) << generationBits
}

// errMissing says that the stream that was served is not there, for a moment or for good.
var errMissing = errors.New("the stream that was served is not there")
