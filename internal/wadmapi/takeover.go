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

	statusHeader       = "Status"
	statusNoResponders = "503"
)

// awaitTurn returns when nobody but Trellis answers for the lattice. Until then it reports WadmRunning: answering beside
// wadm would give wash two answers, and two orchestrators would fight.
func (s *Server) awaitTurn(ctx context.Context) error {
	reported := ""
	for {
		why, err := s.otherServer(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			why = "Whether wadm still runs could not be asked: " + err.Error() + "."
		}
		if why == "" {
			return nil
		}
		if why != reported {
			reported = why
			s.config.OnState(State{Lattice: s.config.Lattice, WadmRunning: true, Message: why})
		}
		timer := time.NewTimer(s.config.AskAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// otherServer asks for the list of applications and looks who answers. An empty result means: nobody, or only Trellis.
func (s *Server) otherServer(ctx context.Context) (why string, err error) {
	conn := s.config.Conn
	inbox := conn.NewRespInbox()
	sub, err := conn.SubscribeSync(inbox)
	if err != nil {
		return "", fmt.Errorf("subscribe to the answer: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is closed
	if err := conn.PublishRequest(s.subjects.list(), inbox, nil); err != nil {
		return "", fmt.Errorf("ask: %w", err)
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
			return fmt.Sprintf("Something listens on %s and does not answer; if it is wadm, stop it.", s.subjects.list()), nil
		case err != nil:
			return "", fmt.Errorf("wait for the answer: %w", err)
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
