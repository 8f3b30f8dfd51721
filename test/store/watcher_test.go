package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// watcher is a client that watches all pods and remembers what it has seen.
type watcher struct {
	name    string
	on      []*replica
	since   uint64
	resumes bool // ends its watch now and then and goes on from the last revision, on another replica
	chance  *rand.Rand

	resumptions int

	mu     sync.Mutex
	got    []event
	failed error
}

// run watches until the context ends or something is wrong.
func (w *watcher) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		err := w.watchOnce(ctx, w.on[n%len(w.on)])
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errNotBegun): // a server is away
			pause(ctx, 10*time.Millisecond)
		case err != nil:
			w.fail(fmt.Errorf("it ended at revision %d: %w", w.position(), err))
			return
		default:
			w.resumptions++
		}
	}
}

var errNotBegun = errors.New("the watch could not begin")

// watchOnce watches from the last revision on. A watcher that resumes ends it after a random time.
func (w *watcher) watchOnce(ctx context.Context, r *replica) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if w.resumes {
		ctx, cancel = context.WithTimeout(ctx, between(w.chance, 5*time.Millisecond, 500*time.Millisecond))
		defer cancel()
	}
	began, err := r.pods.Watch(ctx, "/pods/", everything(strconv.FormatUint(w.position(), 10)))
	if err != nil {
		return fmt.Errorf("%w: %w", errNotBegun, err)
	}
	defer began.Stop()
	for {
		select {
		case e, open := <-began.ResultChan():
			if !open && ctx.Err() == nil {
				return errors.New("it was ended by the store")
			}
			if !open {
				return nil
			}
			got, err := seen(e)
			if err != nil {
				return err
			}
			w.mu.Lock()
			w.got = append(w.got, got)
			w.mu.Unlock()
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
}

func (w *watcher) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// position is the last revision that was seen.
func (w *watcher) position() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.got) == 0 {
		return w.since
	}
	return w.got[len(w.got)-1].revision
}

func (w *watcher) events() []event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got
}
