package secrets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
)

const (
	// checkInterval is how often it is made sure that NATS still has the subscriptions.
	checkInterval = 5 * time.Second
	flushTimeout  = 5 * time.Second
)

var (
	errClosed       = errors.New("the connection to NATS was closed")
	errDisconnected = errors.New("NATS is not connected")
)

// subscription is one of the patterns, and ended is closed when its last message was handed over.
type subscription struct {
	*nats.Subscription
	ended chan struct{}
}

// subscribe takes part in the queue group for every pattern; take is called by one goroutine of each.
func (s *Server) subscribe(take nats.MsgHandler) ([]subscription, error) {
	var subs []subscription
	for _, pattern := range s.subjects.patterns() {
		sub, err := s.options.Conn.QueueSubscribe(pattern, s.subjects.queue(), take)
		if err != nil {
			return subs, fmt.Errorf("subscribe to %s: %w", pattern, err)
		}
		ended := make(chan struct{})
		sub.SetClosedHandler(func(string) { close(ended) })
		subs = append(subs, subscription{sub, ended})
	}
	return subs, nil
}

// supervise keeps Ready true to what is, until ctx ends. The client sends its subscriptions again with every connection;
// what it does not tell is that NATS refused one.
func (s *Server) supervise(ctx context.Context) error {
	conn := s.options.Conn
	changes := conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	defer conn.RemoveStatusListener(changes)
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	var refused error
	for {
		if conn.IsClosed() {
			return errClosed
		}
		err := errDisconnected
		if conn.IsConnected() {
			err = s.flush(ctx)
		}
		if refused == nil {
			refused = s.refusedByNATS()
		}
		s.show(ctx, errors.Join(err, refused))
		select {
		case <-ctx.Done():
			return nil
		case status := <-changes:
			if status == nats.CONNECTED {
				refused = nil // the new connection may have other rights
			}
		case <-tick.C:
		}
	}
}

// refusedByNATS is the last error of the connection if it is about one of the subscriptions. The connection is shared, so
// that it may be of others, and another one may follow.
func (s *Server) refusedByNATS() error {
	last := s.options.Conn.LastError()
	if !errors.Is(last, nats.ErrPermissionViolation) {
		return nil
	}
	for _, pattern := range s.subjects.patterns() {
		if strings.Contains(last.Error(), `Subscription to "`+pattern+`"`) {
			return last
		}
	}
	return nil
}

func (s *Server) show(ctx context.Context, why error) {
	if ctx.Err() != nil {
		return
	}
	ready := why == nil
	log := logr.FromContextOrDiscard(ctx)
	switch was := s.ready.Swap(ready); {
	case ready && !was:
		log.Info("Secrets are served", "lattice", s.options.Lattice, "backend", s.options.Backend, "prefixes", s.options.Prefixes)
	case !ready && was:
		log.Error(why, "Secrets are not served", "lattice", s.options.Lattice, "backend", s.options.Backend)
	}
}

// stop asks NATS for no more requests, and returns when those that were on their way were taken: other replicas get what
// comes from now on, and no host waits for nothing.
func (s *Server) stop(subs []subscription) error {
	var errs []error
	for _, sub := range subs {
		switch {
		case s.options.Conn.IsConnected():
			errs = append(errs, sub.Drain())
		case !s.options.Conn.IsClosed():
			errs = append(errs, sub.Unsubscribe()) // there is no server to ask, and none that sends anything
		}
	}
	limit := time.After(s.options.Timeout)
	for _, sub := range subs {
		select {
		case <-sub.ended:
		case <-limit:
			return errors.Join(append(errs, fmt.Errorf("requests on %s were still coming", sub.Subject))...)
		}
	}
	return errors.Join(errs...)
}

// flush waits until the server has all that was sent.
func (s *Server) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := s.options.Conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("NATS does not answer: %w", err)
	}
	return nil
}
