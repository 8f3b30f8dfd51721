package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// ErrGap: events may have been missed; ask hosts again before acting on what was known.
var ErrGap = errors.New("events may have been missed")

// maxPendingEvents is what may wait while handle is busy: some minutes of a lattice of a thousand hosts.
const maxPendingEvents = 1 << 16

// Events calls handle for each event of the lattice, in order, until ctx ends; done is closed after the last call. When
// it returns without error the server has the subscription: what hosts report from then on arrives.
//
// gap (may be nil) is called with ErrDisconnected when our connection is lost, and with ErrGap when it is back or when
// handle was too slow. All calls come from one goroutine. Events that cannot be read are logged and skipped.
func (c *Client) Events(ctx context.Context, handle func(lattice.Event), gap func(error)) (done <-chan struct{}, err error) {
	s := &stream{
		msgs: make(chan *nats.Msg, maxPendingEvents), handle: handle, gap: gap,
		// Listen for changes of the connection before subscribing, so that none is missed between the two.
		conn: c.conn.StatusChanged(nats.RECONNECTING, nats.CONNECTED),
	}
	if s.gap == nil {
		s.gap = func(error) {}
	}
	if err := s.subscribe(ctx, c); err != nil {
		c.conn.RemoveStatusListener(s.conn)
		return nil, &Error{Operation: "subscribe to events", Err: c.translate(err)}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer c.conn.RemoveStatusListener(s.conn)
		defer func() { _ = s.sub.Unsubscribe() }() // fails only when the connection is closed
		s.run(ctx)
	}()
	return ended, nil
}

type stream struct {
	sub    *nats.Subscription
	msgs   chan *nats.Msg
	conn   chan nats.Status
	slow   <-chan nats.SubStatus
	handle func(lattice.Event)
	gap    func(error)
}

func (s *stream) subscribe(ctx context.Context, c *Client) error {
	subject, err := lattice.EventsSubject(c.Lattice())
	if err != nil {
		return err
	}
	if s.sub, err = c.conn.ChanSubscribe(subject, s.msgs); err != nil {
		return err
	}
	s.slow = s.sub.StatusChanged(nats.SubscriptionSlowConsumer)
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	if err := c.conn.FlushWithContext(ctx); err != nil {
		return errors.Join(err, s.sub.Unsubscribe())
	}
	return nil
}

func (s *stream) run(ctx context.Context) {
	log := logr.FromContextOrDiscard(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case msg := <-s.msgs:
			event, err := lattice.DecodeEvent(msg.Data)
			if err != nil {
				log.Info("Skipped an event that cannot be read", "subject", msg.Subject, "reason", err.Error())
				continue
			}
			s.handle(event)
		case status := <-s.conn:
			if status == nats.RECONNECTING {
				s.gap(ErrDisconnected)
				continue
			}
			s.gap(fmt.Errorf("%w: the connection to NATS was lost and is back", ErrGap))
		case _, open := <-s.slow:
			if !open {
				s.slow = nil
				continue
			}
			s.gap(fmt.Errorf("%w: they came faster than they were handled", ErrGap))
		}
	}
}
