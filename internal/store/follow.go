package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	retryFirst = 50 * time.Millisecond
	retryMost  = 2 * time.Second
)

// follow keeps the index up to date for as long as the store is open.
func (s *Store) follow(ctx context.Context) {
	wait := retryFirst
	for ctx.Err() == nil {
		began := time.Now()
		err := s.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		s.problem.Store(&err)
		if time.Since(began) > retryMost {
			wait = retryFirst
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if s.link.wait(ctx) != nil {
			return
		}
		wait = min(2*wait, retryMost)
	}
}

// followOnce reads the stream through one consumer, from where the index ends, until something breaks.
func (s *Store) followOnce(ctx context.Context) error {
	ctx, cancel := s.link.whileUp(ctx)
	defer cancel()
	if err := s.link.wait(ctx); err != nil {
		return err
	}
	position, _ := s.index.where()
	asked := s.rereads.Load()
	other := s.rereading()
	if other {
		position = 0
	}
	state, err := s.begin(ctx, position)
	if err != nil {
		return err
	}
	compacted, err := s.compactRevision(ctx)
	if err != nil {
		return err
	}
	s.link.confirm(ctx)
	if position > 0 && compacted <= position && !s.doubt.Load() {
		return s.consume(ctx, s.index, position+1, 0)
	}
	// There is no index yet, or what it misses is partly gone from the stream. It is read again beside the old one,
	// which goes on serving what needs no consistency.
	s.doubt.Store(false)
	fresh := newIndex(s.cfg.Cluster)
	fresh.compact(compacted)
	fresh.keepBytes = s.cfg.HistoryBytes
	if err := s.consume(ctx, fresh, 1, state.State.LastSeq); err != nil {
		return err
	}
	s.index.adopt(fresh, other)
	s.reread.Store(asked)
	s.markSynced()
	position, _ = s.index.where()
	return s.consume(ctx, s.index, position+1, 0)
}

// rereading says whether the index holds, for a while yet, what another stream had.
func (s *Store) rereading() bool { return s.reread.Load() != s.rereads.Load() }

func (s *Store) markSynced() {
	select {
	case <-s.synced:
	default:
		close(s.synced)
	}
}

// begin finds the stream, makes it when it never existed for this process, and checks that it is the right one.
func (s *Store) begin(ctx context.Context, position uint64) (*streamState, error) {
	state, err := s.api.info(ctx)
	if isCode(err, codeStreamNotFound) {
		state, err = s.beginMissing(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", s.cfg.Stream, err)
	}
	if state.deposed() {
		return nil, errDeposed
	}
	s.replicated.Store(state.Config.Replicas > 1)
	if err := checkFormat(state); err != nil {
		return nil, err
	}
	if err := s.mark.check(state); err != nil {
		return nil, err
	}
	if err := s.checkEnd(ctx, state, position); err != nil {
		return nil, err
	}
	if state.State.Messages > 0 {
		return state, nil
	}
	if err := s.writeOrigin(ctx, state.State.LastSeq); err != nil {
		return nil, err
	}
	return s.api.info(ctx)
}

// beginMissing makes the stream where none was ever served. One that vanishes while it is served is never made again: an
// empty one would look like a deletion of everything.
func (s *Store) beginMissing(ctx context.Context) (*streamState, error) {
	create, err := s.mark.absent(time.Now(), s.cfg.Replicas)
	if err != nil {
		return nil, err
	}
	if !create {
		return nil, errMissing
	}
	if err := s.create(ctx); err != nil {
		return nil, err
	}
	return s.api.info(ctx)
}

// checkFormat refuses a stream whose layout this release does not know.
func checkFormat(state *streamState) error {
	text := state.Config.Metadata[metadataFormat]
	if text == formatRestoring {
		return errors.New("a restore into the stream is under way, or was interrupted: wait for it, or run `trellis restore --replace` again")
	}
	if format, err := strconv.Atoi(text); err != nil || format < 1 || format > formatVersion+1 {
		return fmt.Errorf("the stream has format %q, this release knows %d and %d", text, formatVersion, formatVersion+1)
	}
	return nil
}

// checkEnd refuses a stream that lost revisions which were served.
func (s *Store) checkEnd(ctx context.Context, state *streamState, position uint64) error {
	switch {
	case position == 0:
		return nil
	case state.State.LastSeq >= position:
		return s.checkSame(ctx, position)
	case state.Config.Replicas <= 1:
		return s.mark.fail(fmt.Sprintf("revision %d was served, the stream ends at %d", position, state.State.LastSeq))
	default: // a leader of yesterday may answer for some seconds
		return fmt.Errorf("the stream ends at %d, revision %d was served", state.State.LastSeq, position)
	}
}

// checkSame refuses a stream that has another message where the served one ended: its end was lost and written anew.
func (s *Store) checkSame(ctx context.Context, position uint64) error {
	same, err := s.sameAt(ctx, position)
	if err == nil && !same {
		return s.mark.fail(fmt.Sprintf("revision %d is not the one that was served", position))
	}
	return err
}

// duplicates is how long the server remembers message ids. Nothing is ever sent twice, so it only costs memory.
const duplicates = 10 * time.Second

// identityLength is enough for 80 random bits.
const identityLength = 16

func (s *Store) create(ctx context.Context) error {
	identity := newIdentity()
	_, err := s.js.CreateStream(ctx, s.cfg.stream(identity, s.mark.first(), strconv.Itoa(formatVersion)))
	var failed *jetstream.APIError
	if errors.As(err, &failed) && int(failed.ErrorCode) == codeStreamNameInUse {
		return nil // another replica was faster
	}
	return err
}

func newIdentity() string { return rand.Text()[:identityLength] }

// stream is the configuration of the stream of an identity, whose first message gets a sequence.
func (c *Config) stream(identity string, first uint64, format string) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if c.Memory {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name: c.Stream, Subjects: []string{head(c.Stream, identity) + ">"}, Storage: storage, Replicas: c.Replicas, FirstSeq: first,
		Description: "API objects of Trellis; the sequence is the resourceVersion",
		// Nothing may leave the stream but by a compaction: no limits, and a full disk refuses the new.
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1,
		AllowDirect: true, Duplicates: duplicates, DenyDelete: true,
		Metadata: map[string]string{metadataIdentity: identity, metadataFormat: format},
	}
}

// writeOrigin makes the first revision, so that no list is ever at revision 0. In a stream that follows another one, it
// says that all before it is gone: a watch that begins there must not miss the difference in silence.
func (s *Store) writeOrigin(ctx context.Context, last uint64) error {
	first := put{tail: metaTail(metaOrigin)}
	var body any = map[string]any{"format": formatVersion, "identity": s.mark.id()}
	if last > 0 {
		first.tail, body = metaTail(metaCompact), compactRecord{Format: formatVersion, Revision: last}
	}
	var err error
	if first.body, err = json.Marshal(body); err != nil {
		return err
	}
	_, err = s.send(ctx, first)
	if errors.Is(err, errLostRace) {
		return nil
	}
	return err
}

// compactRevision reads the compact revision from the leader. A consumer that starts at a deleted sequence silently
// begins later, so this is the only way to notice a gap.
func (s *Store) compactRevision(ctx context.Context) (uint64, error) {
	last, err := s.last(ctx, metaTail(metaCompact))
	if err != nil || last == nil {
		return 0, err
	}
	var record compactRecord
	if err := json.Unmarshal(last.data, &record); err != nil {
		return 0, fmt.Errorf("decode the compact record: %w", err)
	}
	return record.Revision, nil
}

// check looks once more whether the stream is the one that is served.
func (s *Store) check(ctx context.Context) error {
	state, err := s.api.info(ctx)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", s.cfg.Stream, err)
	}
	return s.mark.check(state)
}

var errOtherStream = errors.New("a message of another stream came")

// applyTo adds a message to an index.
func (s *Store) applyTo(x *index, msg *nats.Msg, seq uint64, at time.Time) error {
	tail, ok := strings.CutPrefix(msg.Subject, s.head())
	if !ok {
		return errOtherStream
	}
	m := incoming{tail: tail, seq: seq, time: at, body: msg.Data}
	if strings.HasPrefix(tail, objectSpace+".") {
		m.version = parseVersion(seq, msg.Header, msg.Data)
	}
	if x == s.index && tail == metaTail(metaCompact) && s.late(at) {
		s.doubt.Store(true)
		return errLate
	}
	x.apply(m)
	return nil
}

var errLate = errors.New("the replica fell behind a compaction")

// late says whether a compact record is read so long after it was written that what came before it may be missing
// tombstones: they are purged one compaction later.
func (s *Store) late(written time.Time) bool {
	return s.cfg.CompactEvery > 0 && time.Since(written) > s.cfg.CompactEvery
}
