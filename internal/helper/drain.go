package helper

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// drainer waits until a host may end. Its times are fields, so that tests need not wait as long.
type drainer struct {
	address, subject, podUID string
	// timeout bounds all of it.
	timeout time.Duration
	// every is the pause between two questions, answer how long one is waited for.
	every, answer time.Duration
	// least is how long it takes at least: nodes go on sending requests here for so long.
	least time.Duration
	// silence is how long the operator may be away: while it is, nobody takes the pod from the endpoints, and nobody
	// replaces what runs here.
	silence time.Duration
	// settle is what requests that have begun get when the rest is gone.
	settle time.Duration
}

// left is the answer of the operator.
type left struct {
	Known      bool `json:"known"`
	Components int  `json:"components"`
	Providers  int  `json:"providers"`
}

func (l left) empty() bool { return l.Components+l.Providers == 0 }

// run asks the operator until nothing is left on the host, and says why it ended. A host is never kept from ending.
func (d *drainer) run(ctx context.Context) (why string) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	asking := &asker{address: d.address, subject: d.subject, body: question(d.podUID)}
	defer asking.close()
	heard, loaded := began, false
	last := "the operator was not asked"
	for ctx.Err() == nil {
		answer, err := asking.ask(ctx, d.answer)
		now := time.Now()
		switch {
		case err != nil:
			last = err.Error()
			if now.Sub(heard) >= d.silence {
				return fmt.Sprintf("nobody says what is left on this host, for %s: %s", d.silence, last)
			}
		case answer.Known && !answer.empty():
			heard, loaded = now, true
			last = fmt.Sprintf("%d components and %d providers are left", answer.Components, answer.Providers)
		case now.Sub(began) < d.least:
			heard, last = now, "nothing is left, but requests may still come"
		case loaded:
			wait(ctx, d.settle)
			return "what ran here runs elsewhere now"
		case answer.Known:
			return "nothing runs here"
		default:
			return "the lattice does not know this host"
		}
		wait(ctx, d.every)
	}
	return fmt.Sprintf("the time is over, after %s: %s", d.timeout, last)
}

func question(podUID string) string {
	body, err := json.Marshal(map[string]string{"podUID": podUID})
	if err != nil {
		panic("a map of strings is not JSON: " + err.Error()) // can't happen
	}
	return string(body)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
