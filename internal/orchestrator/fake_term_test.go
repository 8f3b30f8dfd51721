package orchestrator

import (
	"context"
	"sync"
	"time"
)

// The times of package lease.
const (
	termTTL     = 2 * time.Second
	termRenew   = 500 * time.Millisecond
	termMargin  = time.Second
	commandTime = 2 * time.Second
)

// terms is the key that processes contend for, as package lease does: who wants to follow on somebody who did not hand
// over waits for the TTL and for the time that a command may take.
type terms struct {
	mu     sync.Mutex
	holder *fakeTerm
	// renewed is when the holder wrote the key last.
	renewed time.Time
	// dirty: the last holder did not hand over.
	dirty bool
}

// fakeTerm is the lease of one process.
type fakeTerm struct {
	*terms
	name string
	// cut: the process does not reach the key.
	cut      bool
	deadline time.Time
	// number of terms of this process.
	number int
}

var _ Lease = (*fakeTerm)(nil)

func (l *fakeTerm) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.deadline.Add(-termMargin))
}

func (l *fakeTerm) Hold(ctx context.Context, lead func(context.Context)) error {
	for sleep(ctx, termRenew) {
		if wait, won := l.claim(); won && sleep(ctx, wait) {
			l.term(ctx, lead)
		} else if won {
			l.release()
		}
	}
	return nil
}

// claim takes the key if it is free, and says how long to wait before acting.
func (l *fakeTerm) claim() (wait time.Duration, won bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.cut || l.holder != nil && l.holder != l && now.Sub(l.renewed) < termTTL {
		return 0, false
	}
	if l.dirty || l.holder != nil {
		wait = max(0, l.renewed.Add(termTTL).Sub(now)) + commandTime
	}
	l.holder, l.renewed, l.dirty = l, now.Add(wait), true
	l.deadline = now.Add(wait + termTTL)
	return wait, true
}

// term leads until the lease is lost or ctx ends.
func (l *fakeTerm) term(ctx context.Context, lead func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.number++
	l.mu.Unlock()
	go func() {
		for l.renew() {
			if !sleep(ctx, termRenew) {
				return
			}
		}
		cancel()
	}()
	lead(ctx)
	l.release()
}

// renew says whether the process still holds the lease.
func (l *fakeTerm) renew() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.holder == l && !l.cut {
		l.renewed, l.deadline = now, now.Add(termTTL)
	}
	return now.Before(l.deadline)
}

func (l *fakeTerm) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = time.Time{}
	if l.holder == l && !l.cut {
		l.holder, l.dirty = nil, false
	}
}

func (l *fakeTerm) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}
