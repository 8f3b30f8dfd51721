package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// leader asks the leader of the stream for its last sequence. Callers that arrive while a request is under way share the
// next one, never the one that began before them: the answer must be at least as new as the question.
type leader struct {
	api *api

	mu   sync.Mutex
	busy bool
	next *inquiry
}

type inquiry struct {
	done  chan struct{}
	state *streamState
	err   error
}

func newLeader(a *api) *leader { return &leader{api: a} }

func (l *leader) state(ctx context.Context) (*streamState, error) {
	l.mu.Lock()
	if l.next == nil {
		l.next = &inquiry{done: make(chan struct{})}
	}
	mine := l.next
	if !l.busy {
		l.busy = true
		// Not the context of a caller: others wait for the same answer.
		go l.work(context.WithoutCancel(ctx))
	}
	l.mu.Unlock()
	select {
	case <-mine.done:
		return mine.state, mine.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// work answers inquiries until there are none. A request is bounded by the timeout of the api.
func (l *leader) work(ctx context.Context) {
	for {
		l.mu.Lock()
		now := l.next
		l.next = nil
		if now == nil {
			l.busy = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		now.state, now.err = l.api.info(ctx)
		close(now.done)
	}
}

// current waits until the index has everything that the stream had when it was called, and returns that revision.
func (s *Store) current(ctx context.Context) (uint64, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	bounded, cancel := context.WithTimeoutCause(ctx, 2*s.cfg.Timeout, errSlow)
	defer cancel()
	upCtx, stop := s.link.whileUp(bounded)
	defer stop()
	if err := s.link.confirmed(upCtx); err != nil {
		return 0, s.readFailed(ctx, err)
	}
	state, err := s.leader.state(upCtx)
	if err != nil {
		return 0, s.readFailed(ctx, err)
	}
	if state.deposed() {
		return 0, unavailable(errDeposed)
	}
	if err := s.mark.check(state); err != nil {
		return 0, err
	}
	if err := s.index.reach(upCtx, state.State.LastSeq); err != nil {
		return 0, s.readFailed(ctx, err)
	}
	// A leader of yesterday may name an older revision than was served already.
	position, _ := s.index.where()
	return max(position, state.State.LastSeq), nil
}

var (
	errSlow    = errors.New("NATS takes too long")
	errDeposed = fmt.Errorf("no server leads the stream, or since less than %s, or without having heard from a majority in the last %s", leaderRest, leaderTrust)
)

// readFailed keeps the caller's own cancellation apart from a store that does not answer.
func (s *Store) readFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if changed := s.mark.problem(); changed != nil {
		return changed
	}
	if isUnavailable(err) {
		return err
	}
	return unavailable(err)
}
