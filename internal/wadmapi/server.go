package wadmapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
)

const (
	// workers handle requests side by side. wadm handles one at a time; writes are compared and set, so order between
	// clients does not matter.
	workers = 8
	// maxPending is how many requests may wait; beyond it NATS drops them and clients see a timeout.
	maxPending = 1024
	// requestTimeout bounds one request: wash gives up after 10 s.
	requestTimeout = 9 * time.Second

	defaultAskAgain = 30 * time.Second

	// headerRoom is what the header of a reply may take of the payload limit.
	headerRoom = 1024
)

// Config says what a Server serves and from what.
type Config struct {
	// Conn is a connection in the lattice's account. It is not closed here.
	Conn *nats.Conn
	// Lattice to serve.
	Lattice string
	// Prefix of the subjects. Default: wadm.api.
	Prefix string
	// Version of Trellis, the value of the header of every reply. Required: an empty header would look like wadm's reply.
	Version string

	Applications Applications
	Revisions    Revisions
	Homes        Homes

	// OnState is told about every change, from one goroutine. Optional.
	OnState func(State)
	// AskAgain is the pause between two questions whether wadm still runs. Default: 30 s.
	AskAgain time.Duration
	// Now and Random are the clock and the source of event ids. Default: the real ones.
	Now    func() time.Time
	Random io.Reader
}

// State says whether this process answers wash in a lattice, and why not.
type State struct {
	Lattice string
	// Serving: requests are answered.
	Serving bool
	// WadmRunning: wadm (or something that answers like it) serves the lattice; no command may be sent to it.
	WadmRunning bool
	// Message says in a sentence what is and what would help.
	Message string
}

// Server answers wadm's API for one lattice.
type Server struct {
	config   Config
	subjects subjects
	sent     sentStatuses
}

// New checks the configuration.
func New(c Config) (*Server, error) {
	if !nameForm.MatchString(c.Lattice) {
		return nil, fmt.Errorf("serve wadm's API: %q is no name of a lattice; use ASCII letters, digits, - and _", c.Lattice)
	}
	if c.Conn == nil || c.Applications == nil || c.Revisions == nil || c.Homes == nil || c.Version == "" {
		return nil, errors.New("serve wadm's API: a connection, the three interfaces and a version are required")
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.AskAgain <= 0 {
		c.AskAgain = defaultAskAgain
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.OnState == nil {
		c.OnState = func(State) {}
	}
	return &Server{config: c, subjects: subjects{base: c.Prefix + "." + c.Lattice}, sent: sentStatuses{last: map[string]string{}}}, nil
}

// Run waits until no wadm serves the lattice, then answers requests until ctx ends; requests that were accepted are
// finished before it returns.
func (s *Server) Run(ctx context.Context) error {
	if err := s.awaitTurn(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	msgs := make(chan *nats.Msg, maxPending)
	sub, err := s.config.Conn.ChanQueueSubscribe(s.subjects.all(), queueGroup, msgs)
	if err != nil {
		return fmt.Errorf("serve wadm's API of lattice %s: %w", s.config.Lattice, err)
	}
	s.confirm(ctx)
	s.config.OnState(State{Lattice: s.config.Lattice, Serving: true, Message: "wash is answered from Kubernetes applications."})
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { s.work(ctx, msgs) })
	}
	<-ctx.Done()
	err = sub.Unsubscribe()
	running.Wait()
	if err != nil && !s.config.Conn.IsClosed() {
		return fmt.Errorf("stop serving wadm's API of lattice %s: %w", s.config.Lattice, err)
	}
	return nil
}

// confirm waits until the server has the subscription. When it fails, the connection is down, and the subscription is
// sent again with the next one: nothing is lost by going on.
func (s *Server) confirm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := s.config.Conn.FlushWithContext(ctx); err != nil {
		logr.FromContextOrDiscard(ctx).Info("The subscription to wadm's API is not confirmed yet", "reason", err.Error())
	}
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// work handles requests until ctx ends and none waits any more.
func (s *Server) work(ctx context.Context, msgs <-chan *nats.Msg) {
	for {
		select {
		case msg := <-msgs:
			s.serve(ctx, msg)
		case <-ctx.Done():
			select {
			case msg := <-msgs:
				s.serve(ctx, msg)
				continue
			default:
				return
			}
		}
	}
}

func (s *Server) serve(ctx context.Context, msg *nats.Msg) {
	log := logr.FromContextOrDiscard(ctx).WithValues("subject", msg.Subject)
	// A request that was accepted is finished although the process is about to end.
	ctx, cancel := context.WithTimeout(logr.NewContext(context.WithoutCancel(ctx), log), requestTimeout)
	defer cancel()
	reply := s.answer(ctx, msg)
	if msg.Reply == "" {
		return
	}
	if err := s.respond(msg, reply); err != nil {
		log.Error(err, "Could not answer a request of wadm's API")
	}
}

func (s *Server) answer(ctx context.Context, msg *nats.Msg) any {
	c, err := s.subjects.parse(msg.Subject)
	if err != nil {
		return failure("", err.Error())
	}
	switch c.operation {
	case "put":
		return s.put(ctx, msg.Header.Get(contentTypeHeader), msg.Data)
	case "list":
		return s.list(ctx, true)
	case "get":
		if c.name == "" {
			return s.list(ctx, false)
		}
		return s.get(ctx, c.name, msg.Data)
	case "versions":
		return s.versions(ctx, c.name)
	case "status":
		return s.status(ctx, c.name)
	case "del":
		return s.delete(ctx, c.name, msg.Data)
	case "deploy":
		return s.deploy(ctx, c.name, msg.Data)
	case "undeploy":
		return s.undeploy(ctx, c.name, msg.Data)
	default:
		return failure(c.operation, textHistory)
	}
}

func (s *Server) respond(msg *nats.Msg, reply any) error {
	data, err := s.encode(reply)
	if err != nil {
		return err
	}
	out := nats.NewMsg(msg.Reply)
	out.Header.Set(VersionHeader, s.config.Version)
	out.Data = data
	return msg.RespondMsg(out)
}

// encode writes a reply so that it fits into a message: a list loses details first, what is still too large is an error.
func (s *Server) encode(reply any) ([]byte, error) {
	limit := s.config.Conn.MaxPayload() - headerRoom
	for _, attempt := range []any{reply, shorten(reply)} {
		data, err := encode(attempt)
		if err != nil || int64(len(data)) <= limit {
			return data, err
		}
	}
	return encode(failure("", "The answer is larger than the NATS server allows"))
}
