package secrets

import (
	"context"
	"errors"
	"strings"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
)

// exchange is one request until it is answered.
type exchange struct {
	msg       *nats.Msg
	operation string
	decision  Decision
	place     *slot
}

// take is called for each message of NATS.
func (s *Server) take(ctx context.Context, msg *nats.Msg) {
	if err := try(func() { s.accept(ctx, msg) }); err != nil {
		logPanic(ctx, err)
	}
}

// accept never waits: what takes time is left to a goroutine, of which there are a limited number.
func (s *Server) accept(ctx context.Context, msg *nats.Msg) {
	if !isInbox(msg.Reply) {
		logr.FromContextOrDiscard(ctx).V(1).Info("A request for a secret has no inbox to answer to", "subject", shorten(msg.Subject, maxLogged))
		return
	}
	now := s.options.Now()
	c, err := s.subjects.parse(msg.Subject)
	x := &exchange{msg: msg, operation: c.operation, decision: Decision{Time: now, Backend: s.options.Backend, Question: Question{Asker: c.asker}}}
	switch {
	case err != nil:
		s.settle(ctx, x, nil, err)
	case !s.rates.allow(c.asker, now):
		x.decision.Flood = true
		s.settle(ctx, x, nil, tooMany(c.asker))
	case c.operation == operationKey:
		s.settle(ctx, x, &nats.Msg{Data: []byte(s.options.Keyring.announced)}, nil)
	case c.operation == operationGet:
		s.start(ctx, x)
	default:
		s.settle(ctx, x, nil, refuse(InvalidRequest, "there is no such operation"))
	}
}

// isInbox: whoever may ask chooses the subject of the reply, and NATS asks the rights of who replies, which are wide. An
// error in the place of a config or command of the lattice would be an attack with our hands. Inboxes are all that
// clients use; _R_ is one behind an import of another account.
func isInbox(subject string) bool {
	return strings.HasPrefix(subject, "_INBOX") || strings.HasPrefix(subject, "_R_.")
}

func tooMany(asker Asker) error {
	if asker.Group == "" {
		return refuse(UpstreamError, "too many requests of hosts whose host group is unknown; ask again")
	}
	return refuse(UpstreamError, "too many requests of host group %s/%s; ask again", asker.Namespace, asker.Group)
}

// start works on a request in the background if there is a place.
func (s *Server) start(ctx context.Context, x *exchange) {
	select {
	case s.slots <- struct{}{}:
	default:
		x.decision.Flood = true
		s.settle(ctx, x, nil, refuse(UpstreamError, textBusy))
		return
	}
	x.place = &slot{free: func() { <-s.slots }}
	x.place.enter()
	s.running.Go(func() {
		defer x.place.leave()
		var reply *nats.Msg
		var err error
		limited, cancel := context.WithTimeout(ctx, s.options.Timeout)
		defer cancel()
		if panicked := try(func() { reply, err = s.get(limited, x) }); panicked != nil {
			err = panicked
		}
		s.settle(ctx, x, reply, err)
	})
}

// settle records a request and answers it, in this order: no value leaves without a trace.
func (s *Server) settle(ctx context.Context, x *exchange, reply *nats.Msg, err error) {
	d := &x.decision
	d.Latency = s.options.Now().Sub(d.Time)
	if err != nil {
		answer := answerTo(ctx, err)
		d.Kind, d.Reason = answer.Kind, err.Error()
		reply = &nats.Msg{Data: encodeError(answer)}
	}
	if x.operation == operationGet {
		if panicked := try(func() { s.options.Auditor.Decided(*d) }); panicked != nil {
			answer := answerTo(ctx, panicked)
			d.Kind = answer.Kind
			reply = &nats.Msg{Data: encodeError(answer)}
		}
	}
	s.options.Metrics.answered(s.label, x.operation, d.Kind, d.Latency)
	reply.Subject = x.msg.Reply
	if err := s.options.Conn.PublishMsg(reply); err != nil {
		logr.FromContextOrDiscard(ctx).Error(err, "A request for a secret could not be answered", "lattice", s.options.Lattice)
	}
}

// answerTo is what a host is told of an error.
func answerTo(ctx context.Context, err error) *Error {
	var meant *Error
	var panicked *panicError
	switch {
	case errors.As(err, &panicked):
		logPanic(ctx, err)
		return &Error{UpstreamError, textPanic}
	case errors.As(err, &meant) && meant.Kind.known():
		return meant
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{UpstreamError, textLate}
	default:
		return &Error{UpstreamError, textStore}
	}
}

func logPanic(ctx context.Context, err error) {
	var at []string
	var panicked *panicError
	if errors.As(err, &panicked) {
		at = panicked.frames
	}
	logr.FromContextOrDiscard(ctx).Error(err, "A request for a secret panicked", "at", at)
}

// room is what the header of a reply may take of the payload limit.
const room = 1024

// fits says whether NATS takes a reply.
func (s *Server) fits(reply *nats.Msg) bool {
	return int64(len(reply.Data)+room) <= s.options.Conn.MaxPayload()
}
