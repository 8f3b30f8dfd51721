package wadmapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
)

const (
	// sideBySide is how many requests are handled at once. wadm handles one at a time.
	sideBySide = 8
	// maxPending is how many requests may wait; beyond it they are refused at once.
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
	// Account, when set, is the token before the prefix of a second set of subjects, as a multitenant wadm has it: NATS
	// puts it there when it imports the requests of that account.
	Account string
	// Version of Trellis, the value of the header of every reply. Required: an empty header would look like wadm's reply.
	Version string

	Applications Applications
	Revisions    Revisions
	Homes        Homes

	// Prepare is called when no wadm serves the lattice any more, before the first request is answered; again, after a
	// pause, when it fails. Optional.
	Prepare func(ctx context.Context) error
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

// Wadm is the message while wadm serves the lattice, else empty.
func (s State) Wadm() string {
	if s.WadmRunning {
		return s.Message
	}
	return ""
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
	if c.Account != "" && !nameForm.MatchString(c.Account) {
		return nil, fmt.Errorf("serve wadm's API: %q is no account; use ASCII letters, digits, - and _", c.Account)
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
	if c.Prepare == nil {
		c.Prepare = func(context.Context) error { return nil }
	}
	bases := []string{c.Prefix + "." + c.Lattice}
	if c.Account != "" {
		bases = append(bases, c.Account+"."+bases[0])
	}
	return &Server{config: c, subjects: subjects{bases}, sent: sentStatuses{last: map[string]string{}}}, nil
}

// Run waits until no wadm serves the lattice, prepares, then answers requests until ctx ends; requests that were accepted
// are finished before it returns.
func (s *Server) Run(ctx context.Context) error {
	if err := s.awaitTurn(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	requests := newLanes(sideBySide, maxPending)
	subs, err := s.subscribe(func(msg *nats.Msg) { s.accept(ctx, requests, msg) })
	if err != nil {
		return errors.Join(fmt.Errorf("serve wadm's API of lattice %s: %w", s.config.Lattice, err), s.stop(subs))
	}
	s.confirm(ctx)
	s.config.OnState(State{Lattice: s.config.Lattice, Serving: true, Message: "wash is answered from Kubernetes applications."})
	<-ctx.Done()
	err = s.stop(subs)
	requests.wait()
	if !s.config.Conn.IsConnected() {
		return nil // nobody can be told anything
	}
	if err = errors.Join(err, s.flush(context.WithoutCancel(ctx))); err != nil {
		return fmt.Errorf("stop serving wadm's API of lattice %s: %w", s.config.Lattice, err)
	}
	return nil
}

// subscription is one of the sets of subjects, and ended is closed when its last message was handed over.
type subscription struct {
	*nats.Subscription
	ended chan struct{}
}

// subscribe takes part in the queue group for every set of subjects; accept is called by one goroutine of each.
func (s *Server) subscribe(accept nats.MsgHandler) ([]subscription, error) {
	var subs []subscription
	for _, subject := range s.subjects.all() {
		sub, err := s.config.Conn.QueueSubscribe(subject, queueGroup, accept)
		if err != nil {
			return subs, err
		}
		ended := make(chan struct{})
		sub.SetClosedHandler(func(string) { close(ended) })
		subs = append(subs, subscription{sub, ended})
	}
	return subs, nil
}

// stop asks NATS for no more requests, and returns when those that were on their way were accepted: other replicas get
// what comes from now on, and no client waits for nothing.
func (s *Server) stop(subs []subscription) error {
	var errs []error
	for _, sub := range subs {
		if s.config.Conn.IsConnected() {
			errs = append(errs, sub.Drain())
		} else {
			errs = append(errs, sub.Unsubscribe()) // there is no server to ask, and none that sends anything
		}
	}
	limit := time.After(requestTimeout)
	for _, sub := range subs {
		select {
		case <-sub.ended:
		case <-limit:
			errs = append(errs, fmt.Errorf("requests on %s were still coming", sub.Subject), sub.Unsubscribe())
		}
	}
	return errors.Join(errs...)
}

// confirm waits until the server has the subscription. When it fails, the connection is down, and the subscription is
// sent again with the next one: nothing is lost by going on.
func (s *Server) confirm(ctx context.Context) {
	if err := s.flush(ctx); err != nil {
		logr.FromContextOrDiscard(ctx).Info("The subscription to wadm's API is not confirmed yet", "reason", err.Error())
	}
}

// flush waits until the server has all that was sent.
func (s *Server) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return s.config.Conn.FlushWithContext(ctx)
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
