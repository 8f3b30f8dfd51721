package cli

import (
	"context"
	"errors"
	"fmt"
)

// parts are the running parts of a process in the order of their start. They end in the reverse order, each one only
// after all that was started later, and therefore may depend on it, has ended.
type parts struct {
	running []part
	failed  chan error
}

type part struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func newParts() *parts { return &parts{failed: make(chan error, 1)} }

// start runs a part until stop; a part that returns before that ends the process, with its error. The context of a part
// keeps ctx's values and ignores its end: parts end in order, not all at once.
func (p *parts) start(ctx context.Context, name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	p.running = append(p.running, part{cancel: cancel, done: done})
	go func() {
		defer close(done)
		err := run(ctx)
		if ctx.Err() != nil && err == nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case p.failed <- fmt.Errorf("%s: %w", name, err):
		default: // the first failure is the one to tell
		}
	}()
}

// onStop adds a step to the orderly end, at this place in the order.
func (p *parts) onStop(ctx context.Context, name string, stop func() error) {
	p.start(ctx, name, func(ctx context.Context) error {
		<-ctx.Done()
		return stop()
	})
}

// wait returns when ctx ends (nil) or when a part fails.
func (p *parts) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.failed:
		return err
	}
}

// stop ends all parts in reverse order and returns what failed on the way.
func (p *parts) stop() error {
	for i := len(p.running) - 1; i >= 0; i-- {
		p.running[i].cancel()
		<-p.running[i].done
	}
	p.running = nil
	select {
	case err := <-p.failed:
		return err
	default:
		return nil
	}
}
