package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// put is one compare-and-set publish: body becomes the newest message of a subject if the newest one is expect.
type put struct {
	tail   string // of the subject
	key    string // of the object in the index; empty for meta messages
	expect uint64 // 0: the subject has no message
	header nats.Header
	body   []byte

	id string
}

const (
	// resolveEvery is the time between two questions to the leader about a publish.
	resolveEvery = 100 * time.Millisecond
	// resolveFor is how long a subject is looked at that does not change.
	resolveFor = time.Second
)

// publish writes and returns the revision. Its errors are errLostRace, ErrUnavailable, ErrFull and ErrStoreChanged, when
// nothing was written, and ErrUnknownOutcome.
func (s *Store) publish(ctx context.Context, p put) (uint64, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, s.cfg.Timeout, errSlow)
	defer cancel()
	upCtx, stop := s.link.whileUp(bounded)
	defer stop()
	if err := s.link.confirmed(upCtx); err != nil {
		return 0, s.readFailed(ctx, err)
	}
	if err := s.mark.problem(); err != nil {
		return 0, err
	}
	return s.send(ctx, p)
}

// send is publish without its checks.
func (s *Store) send(ctx context.Context, p put) (uint64, error) {
	p.id = nuid.Next()
	msg := &nats.Msg{Subject: s.head() + p.tail, Header: p.header, Data: p.body}
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	msg.Header.Set(nats.MsgIdHdr, p.id)
	msg.Header.Set(nats.ExpectedLastSubjSeqHdr, strconv.FormatUint(p.expect, 10))

	bounded, cancel := context.WithTimeoutCause(ctx, s.cfg.Timeout, errSlow)
	defer cancel()
	upCtx, stop := s.link.whileUp(bounded)
	defer stop()
	reply, err := s.cfg.Conn.RequestMsgWithContext(upCtx, msg)
	switch {
	case err == nil:
		return s.acknowledged(ctx, p, reply)
	case notSent(err):
		return 0, unavailable(err)
	case upCtx.Err() != nil:
		return s.resolve(ctx, p, context.Cause(upCtx))
	default:
		return s.resolve(ctx, p, err)
	}
}

// notSent lists the errors that come before anything is sent, or from a server that has no stream for it.
func notSent(err error) bool {
	for _, known := range []error{nats.ErrReconnectBufExceeded, nats.ErrConnectionClosed, nats.ErrConnectionDraining,
		nats.ErrInvalidConnection, nats.ErrNoResponders, nats.ErrMaxPayload, nats.ErrBadSubject} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// acknowledged reads JetStream's answer to a publish.
func (s *Store) acknowledged(ctx context.Context, p put, reply *nats.Msg) (uint64, error) {
	var ack struct {
		Error     *apiError `json:"error"`
		Seq       uint64    `json:"seq"`
		Duplicate bool      `json:"duplicate"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return s.resolve(ctx, p, fmt.Errorf("decode the acknowledgement: %w", err))
	}
	switch {
	case ack.Error == nil && ack.Seq > 0:
		return ack.Seq, nil
	case ack.Error == nil:
		return s.resolve(ctx, p, errors.New("the acknowledgement has no sequence"))
	case isCode(ack.Error, codeWrongLast, codeWrongLastConstant):
		return s.refused(ctx, p, ack.Error)
	case isCode(ack.Error, codeAccountFull, codeServerFull, codeMemoryFull, codeDiskFull, codeStreamFull):
		return 0, full(ack.Error)
	default:
		return 0, unavailable(ack.Error)
	}
}

// refused decides about a publish that a server has refused because of its expectation. A deposed leader of a replicated
// stream gets the publish too, and may refuse, on the strength of its old state, what the real one stores. So only a
// message in the way is believed.
func (s *Store) refused(ctx context.Context, p put, why error) (uint64, error) {
	if !s.replicated.Load() || p.key == "" {
		return 0, errLostRace
	}
	return s.resolve(ctx, p, why)
}

// resolve finds out what became of a publish whose acknowledgement did not come. It looks into the index, reads back
// through the leader, and never sends again. While the subject still ends with the expected message, the publish may be
// under way, so only somebody's next message makes a failure certain; after a second of that, the outcome stays unknown.
func (s *Store) resolve(ctx context.Context, p put, why error) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.cfg.Timeout)
	defer cancel()
	search := search{store: s, put: p}
	for {
		changed := s.index.changed()
		seq, err := search.look(ctx)
		switch {
		case err == nil:
			return seq, nil
		case errors.Is(err, errLostRace):
			_ = s.link.wait(ctx) // whoever lost will want to read; if it can't, it will say so
			return 0, err
		case errors.Is(err, errStillExpected) && search.over():
			if errors.Is(why, errSlow) {
				why = errNotTaken
			}
			return 0, unknownOutcome(why)
		}
		select {
		case <-changed:
		case <-time.After(resolveEvery):
		case <-ctx.Done():
			return 0, unknownOutcome(why)
		}
	}
}

// search is a resolve under way.
type search struct {
	store *Store
	put   put
	asked time.Time // when the leader was asked last
	still time.Time // since when it says that nothing has changed
}

// look asks the index, and the leader now and then. Its answers are those of readBack.
func (h *search) look(ctx context.Context) (uint64, error) {
	seq, err := h.store.settled(h.put)
	if !errors.Is(err, errStillExpected) || time.Since(h.asked) < resolveEvery {
		return seq, err
	}
	h.asked = time.Now()
	seq, err = h.store.readBack(ctx, h.put)
	if !errors.Is(err, errStillExpected) {
		h.still = time.Time{}
	} else if h.still.IsZero() {
		h.still = h.asked
	}
	return seq, err
}

// over says that the leader has seen no change for long enough.
func (h *search) over() bool { return !h.still.IsZero() && time.Since(h.still) >= resolveFor }

// settled is what the index knows of a publish: its sequence, errLostRace when somebody else's message follows the
// expected one, or errStillExpected.
func (s *Store) settled(p put) (uint64, error) {
	if p.key == "" {
		return 0, errStillExpected
	}
	newest, own := s.index.since(p.key, p.expect, p.id)
	switch {
	case own > 0:
		return own, nil
	case newest > p.expect:
		return 0, errLostRace
	default:
		return 0, errStillExpected
	}
}

var errStillExpected = errors.New("the subject has not changed")

// readBack returns the sequence of a publish that was stored, errLostRace when it can't be stored any more, and another
// error when neither is certain.
func (s *Store) readBack(ctx context.Context, p put) (uint64, error) {
	if err := s.link.wait(ctx); err != nil {
		return 0, err
	}
	last, err := s.last(ctx, p.tail)
	switch {
	case err != nil:
		return 0, err
	case last == nil || last.seq <= p.expect:
		return 0, errStillExpected
	case last.header.Get(nats.MsgIdHdr) == p.id:
		return last.seq, nil
	case p.key == "":
		return 0, errLostRace
	}
	// Ours may lie below the newest one: the history since the compact revision tells.
	if err := s.index.reach(ctx, last.seq); err != nil {
		return 0, err
	}
	if found := s.index.find(p.key, func(v *version) bool { return v.id == p.id }); found != nil {
		return found.seq, nil
	}
	return 0, errLostRace
}

func isUnavailable(err error) bool { return errors.Is(err, ErrUnavailable) }
