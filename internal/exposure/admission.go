package exposure

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	dialTimeout = 500 * time.Millisecond
	dialAgain   = 250 * time.Millisecond
)

// listener is a port of a host in a pod.
type listener struct {
	pod, host string
	number    uint16
	udp       bool
}

// admission remembers which ports answered, so that each is asked until it does and not again. What left is forgotten:
// a port that comes back is asked again.
type admission struct {
	dialer   Dialer
	patience time.Duration
	now      func() time.Time

	mu    sync.Mutex
	state map[listener]*admitted
}

type admitted struct {
	since    time.Time
	answered bool
}

// verdict is the outcome for one port.
type verdict int

const (
	// wait: it does not answer yet.
	wait verdict = iota
	// answers: it does, or need not be asked.
	answers
	// silent: it has not answered for longer than patience.
	silent
)

// ask returns the verdict for a port of a pod, dialling it if need be.
func (a *admission) ask(ctx context.Context, l listener, address string) verdict {
	if a.dialer == nil {
		return answers
	}
	a.mu.Lock()
	known := a.state[l]
	if known == nil {
		known = &admitted{since: a.now()}
		a.state[l] = known
	}
	answered := known.answered
	a.mu.Unlock()
	if answered {
		return answers
	}
	if a.dial(ctx, address, l.number) {
		a.mu.Lock()
		known.answered = true
		a.mu.Unlock()
		return answers
	}
	if a.now().Sub(known.since) >= a.patience {
		return silent
	}
	return wait
}

func (a *admission) dial(ctx context.Context, address string, number uint16) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := a.dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(int(number))))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// trust takes a port as verified: it was an endpoint before this process started.
func (a *admission) trust(l listener) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state[l] == nil {
		a.state[l] = &admitted{since: a.now(), answered: true}
	}
}

// forget drops the ports that are not in keep, of those that were.
func (a *admission) forget(before, keep map[listener]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for l := range before {
		if !keep[l] {
			delete(a.state, l)
		}
	}
}
