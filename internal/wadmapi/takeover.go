package wadmapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// firstAnswer is how long wadm may take: it handles one request at a time.
	firstAnswer = 5 * time.Second
	// otherAnswers is how long others may take after a replica of ours has answered.
	otherAnswers = 300 * time.Millisecond

	// prepareAgain is the pause after preparations that failed.
	prepareAgain = 2 * time.Second

	statusHeader       = "Status"
	statusNoResponders = "503"
)

// awaitTurn returns when nobody but Trellis answers for the lattice, and all is prepared. Until then it reports why not:
// answering beside wadm would give wash two answers, and two orchestrators would fight.
func (s *Server) awaitTurn(ctx context.Context) error {
	state := State{Lattice: s.config.Lattice}
	report := func(now State) {
		if now != state {
			state = now
			s.config.OnState(state)
		}
	}
	for {
		pause := s.config.AskAgain
		why, err := s.otherServer(ctx)
		if err == nil && why == "" {
			if err = s.config.Prepare(ctx); err == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			report(State{Lattice: s.config.Lattice, Message: "The lattice is not served yet: " + err.Error()})
			pause = min(pause, prepareAgain)
		} else {
			report(State{Lattice: s.config.Lattice, WadmRunning: true, Message: why})
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// otherServer asks for the list of applications, on every set of subjects, and looks who answers. An empty result means:
// nobody, or only Trellis.
func (s *Server) otherServer(ctx context.Context) (why string, err error) {
	for _, subject := range s.subjects.lists() {
		if why, err = s.otherServerOn(ctx, subject); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

func (s *Server) otherServerOn(ctx context.Context, subject string) (why string, err error) {
	conn := s.config.Conn
	inbox := conn.NewRespInbox()
	sub, err := conn.SubscribeSync(inbox)
	if err != nil {
		return "", fmt.Errorf("find out whether wadm runs: subscribe to the answer: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is closed
	if err := conn.PublishRequest(subject, inbox, nil); err != nil {
		return "", fmt.Errorf("find out whether wadm runs: ask: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	for wait, answered := ctx, false; ; {
		msg, err := sub.NextMsgWithContext(wait)
		switch {
		case errors.Is(err, nats.ErrNoResponders), err == nil && msg.Header.Get(statusHeader) == statusNoResponders:
			return "", nil
		case errors.Is(err, context.DeadlineExceeded) && answered:
			return "", nil
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Sprintf("Something listens on %s and does not answer; if it is wadm, stop it.", subject), nil
		case err != nil:
			return "", fmt.Errorf("find out whether wadm runs: wait for the answer: %w", err)
		case msg.Header.Get(VersionHeader) == "":
			return fmt.Sprintf("wadm still serves lattice %s; stop it, and Trellis takes over within %s.",
				s.config.Lattice, s.config.AskAgain), nil
		}
		if !answered {
			answered = true
			var stop context.CancelFunc
			wait, stop = context.WithTimeout(ctx, otherAnswers)
			defer stop()
		}
	}
}

// WhoAnswers says in a few words, to follow "the lattice is served", who answers wash there.
func WhoAnswers(ctx context.Context, conn *nats.Conn, lattice string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	msg, err := conn.RequestWithContext(ctx, subjects{[]string{DefaultPrefix + "." + lattice}}.lists()[0], nil)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return "by nobody: no replica of Trellis answers, and no wadm", nil
	case err != nil:
		return "", fmt.Errorf("ask who serves lattice %s: %w", lattice, err)
	case msg.Header.Get(VersionHeader) == "":
		return "by wadm: stop it, and Trellis takes over", nil
	}
	return "by Trellis " + msg.Header.Get(VersionHeader), nil
}
