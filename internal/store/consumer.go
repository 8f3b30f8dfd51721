package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	heartbeat = time.Second
	// silence after which a consumer is given up. Heartbeats come every second.
	silence = 3500 * time.Millisecond
	// forgetConsumer is when the server drops a consumer that nobody reads.
	forgetConsumer = 30 * time.Second
)

var errGap = errors.New("the consumer skipped a message")

// consume applies the messages from a sequence on until it has the one numbered "to", or for ever when that is 0. It is
// an ordered consumer: any doubt about the order ends it, and the caller starts another one from where the index is.
func (s *Store) consume(ctx context.Context, x *index, from, to uint64) error {
	if position, _ := x.where(); to > 0 && position >= to {
		return nil
	}
	conn := s.cfg.Conn
	sub, err := conn.SubscribeSync(conn.NewInbox())
	if err != nil {
		return fmt.Errorf("subscribe for the stream: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()             // an error means that the connection is gone, and the subscription with it
	if err := sub.SetPendingLimits(-1, -1); err != nil { // flow control bounds it
		return fmt.Errorf("subscribe for the stream: %w", err)
	}
	name, err := s.createConsumer(ctx, sub.Subject, from)
	if err != nil {
		return err
	}
	defer s.dropConsumer(name)
	// The stream may have been replaced since it was checked; then the consumer reads the new one.
	if err := s.check(ctx); err != nil {
		return err
	}
	reader := consumerReader{conn: conn, sub: sub}
	for {
		msg, meta, err := reader.next(ctx)
		if err != nil {
			return err
		}
		if msg != nil {
			if err := s.applyTo(x, msg, meta.Sequence.Stream, meta.Timestamp); err != nil {
				return err
			}
		}
		if to > 0 {
			if position, _ := x.where(); position >= to {
				return nil
			}
		}
	}
}

func (s *Store) createConsumer(ctx context.Context, deliver string, from uint64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	name := "trellis-" + nuid.Next()
	_, err := s.js.CreatePushConsumer(ctx, s.cfg.Stream, jetstream.ConsumerConfig{
		Name: name, DeliverSubject: deliver, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		AckPolicy: jetstream.AckNonePolicy, ReplayPolicy: jetstream.ReplayInstantPolicy, MaxDeliver: 1,
		FlowControl: true, IdleHeartbeat: heartbeat, InactiveThreshold: forgetConsumer, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return "", fmt.Errorf("make a consumer from revision %d: %w", from, err)
	}
	return name, nil
}

// dropConsumer spares the server the wait for forgetConsumer. Failing is harmless.
func (s *Store) dropConsumer(name string) {
	if s.link.connected() {
		_ = s.cfg.Conn.Publish(s.api.prefix+"CONSUMER.DELETE."+s.cfg.Stream+"."+name, nil)
	}
}

// consumerReader takes messages from a push consumer and checks that none is missing.
type consumerReader struct {
	conn     *nats.Conn
	sub      *nats.Subscription
	consumed uint64 // sequence of the consumer, which counts without gaps
}

// next returns the next message, or nil after a sign of life.
func (r *consumerReader) next(ctx context.Context) (*nats.Msg, *nats.MsgMetadata, error) {
	bounded, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	msg, err := r.sub.NextMsgWithContext(bounded)
	if err != nil {
		return nil, nil, fmt.Errorf("read the stream: %w", err)
	}
	if len(msg.Data) == 0 && msg.Header.Get("Status") != "" {
		return nil, nil, r.status(msg)
	}
	meta, err := msg.Metadata()
	if err != nil {
		return nil, nil, fmt.Errorf("read the stream: %w", err)
	}
	if meta.Sequence.Consumer != r.consumed+1 {
		return nil, nil, errGap
	}
	r.consumed++
	return msg, meta, nil
}

// status answers flow control and checks heartbeats.
func (r *consumerReader) status(msg *nats.Msg) error {
	if code := msg.Header.Get("Status"); code != "100" {
		return fmt.Errorf("the consumer ended: %s %s", code, msg.Header.Get("Description"))
	}
	if msg.Reply != "" {
		return r.conn.Publish(msg.Reply, nil)
	}
	if stalled := msg.Header.Get(jetstreamStalled); stalled != "" {
		if err := r.conn.Publish(stalled, nil); err != nil {
			return err
		}
	}
	if last := msg.Header.Get(jetstreamLastConsumer); last != "" && last != fmt.Sprint(r.consumed) {
		return errGap
	}
	return nil
}

const (
	jetstreamStalled      = "Nats-Consumer-Stalled"
	jetstreamLastConsumer = "Nats-Last-Consumer"
)
