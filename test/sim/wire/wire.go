// Package wire puts a simulated lattice on a NATS server: thousands of hosts on a few connections. Each host has one
// subscription for what is addressed to it; what all hosts hear, and what one of a queue group does, comes once for all of
// them.
package wire

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

const (
	defaultConnections = 4
	reconnectWait      = 50 * time.Millisecond
	flushTimeout       = 30 * time.Second
	// waiting is how many commands may wait in a connection.
	waiting = 1 << 16
)

// Options of a lattice on NATS.
type Options struct {
	// URL of the server, and the path of a .creds file where it wants one.
	URL, Creds string
	// Connections that hosts share. Default: 4.
	Connections int
	// Config of the lattice. Its buckets, limit of messages and URL are those of the server.
	Config sim.Config
}

// Wire is a lattice of simulated hosts on a NATS server.
type Wire struct {
	*sim.Lattice
	base    string
	common  []lattice.Subscription // of all hosts
	conns   []*nats.Conn
	inboxes []chan *nats.Msg
	buckets *buckets
	done    sync.WaitGroup
	stop    context.CancelFunc

	mu     sync.Mutex
	own    map[string]*nats.Subscription // by host
	shared []*nats.Subscription
}

// Start connects, opens the buckets of the lattice or makes them as hosts do, and returns a lattice without hosts. Close
// ends it.
func Start(ctx context.Context, o Options) (w *Wire, err error) {
	c := o.Config
	if c.Lattice == "" {
		c.Lattice = lattice.DefaultLattice
	}
	subjects, err := lattice.NewSubjects(c.Prefix, c.Lattice)
	if err != nil {
		return nil, fmt.Errorf("put a simulated lattice on NATS: %w", err)
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx)) // of those that receive, until Close
	w = &Wire{own: map[string]*nats.Subscription{}, stop: cancel}
	w.base = subjects.HostPing()[:len(subjects.HostPing())-len("host.ping")]
	defer func() {
		if err != nil {
			w.Close()
			w = nil
		}
	}()
	if w.common, err = commonTo(subjects, !c.NoAuctions); err != nil {
		return w, fmt.Errorf("put a simulated lattice on NATS: %w", err)
	}
	if err = w.connect(o); err != nil {
		return w, err
	}
	if w.buckets, err = openBuckets(ctx, w.conns[0], c.Lattice, c.Domain); err != nil {
		return w, err
	}
	c.Buckets, c.Blocking, c.MaxPayload, c.URL = w.buckets, true, int(w.conns[0].MaxPayload()), o.URL
	if w.Lattice, err = sim.New(c); err != nil {
		return w, err
	}
	w.Subscribe(func(m sim.Message) { _ = w.conns[w.index(m.Host)].Publish(m.Subject, m.Data) }) // lost as on a real wire
	w.OnInterest(w.listen)
	for i := range w.conns {
		w.done.Go(func() { w.receive(inner, i) })
	}
	return w, nil
}

// commonTo are the subscriptions of a host that do not name it.
func commonTo(subjects lattice.Subjects, auctions bool) ([]lattice.Subscription, error) {
	const host = "NHOST"
	all, err := subjects.HostSubscriptions(host, auctions, auctions)
	return slices.DeleteFunc(all, func(s lattice.Subscription) bool { return strings.HasSuffix(s.Subject, "."+host) }), err
}

func (w *Wire) connect(o Options) error {
	n := o.Connections
	if n <= 0 {
		n = defaultConnections
	}
	options := []nats.Option{
		nats.Name("trellis-sim"), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(0, 0),
	}
	if o.Creds != "" {
		options = append(options, nats.UserCredentials(o.Creds))
	}
	for range n {
		conn, err := nats.Connect(o.URL, options...)
		if err != nil {
			return fmt.Errorf("connect the simulated lattice to %s: %w", o.URL, err)
		}
		w.conns = append(w.conns, conn)
		w.inboxes = append(w.inboxes, make(chan *nats.Msg, waiting))
	}
	return nil
}

// Close ends the lattice without a word, and its connections.
func (w *Wire) Close() {
	w.stop()
	if w.Lattice != nil {
		w.Lattice.Close()
	}
	w.done.Wait()
	if w.buckets != nil {
		w.buckets.wait()
	}
	for _, conn := range w.conns {
		conn.Close()
	}
}

// Flush waits until the server has all that was sent to it, subscriptions included, for flushTimeout at most.
func (w *Wire) Flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	var errs []error
	for _, conn := range w.conns {
		errs = append(errs, conn.FlushWithContext(ctx))
	}
	return errors.Join(errs...)
}

// index is the connection of a host: all that it says goes over one, in order.
func (w *Wire) index(host string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(host)) // never fails
	return int(h.Sum32() % uint32(len(w.conns)))
}

// listen subscribes for a host that comes, and ends that of one that goes, so that the server says "no responders" for it.
// What hosts share is subscribed to as long as there is one.
func (w *Wire) listen(host string, listens bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if listens && w.own[host] == nil {
		i := w.index(host)
		sub, err := w.conns[i].ChanSubscribe(w.base+"*.*."+host, w.inboxes[i])
		if err != nil {
			return // the connection is closed
		}
		w.own[host] = sub
		if len(w.own) == 1 {
			w.share()
		}
		return
	}
	if sub := w.own[host]; sub != nil && !listens {
		_ = sub.Unsubscribe() // fails only when the connection is closed
		delete(w.own, host)
		if len(w.own) == 0 {
			for _, sub := range w.shared {
				_ = sub.Unsubscribe()
			}
			w.shared = nil
		}
	}
}

// share subscribes to what all hosts hear, and to what one of them does.
func (w *Wire) share() {
	for i, s := range w.common {
		i %= len(w.conns)
		var sub *nats.Subscription
		var err error
		if s.Queue == "" {
			sub, err = w.conns[i].ChanSubscribe(s.Subject, w.inboxes[i])
		} else {
			sub, err = w.conns[i].ChanQueueSubscribe(s.Subject, s.Queue, w.inboxes[i])
		}
		if err != nil {
			return // the connection is closed
		}
		w.shared = append(w.shared, sub)
	}
}

func (w *Wire) receive(ctx context.Context, i int) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-w.inboxes[i]:
			var respond func(string, []byte)
			if m.Reply != "" {
				// lost as on a real wire
				respond = func(host string, answer []byte) { _ = w.conns[w.index(host)].Publish(m.Reply, answer) }
			}
			w.Handle(m.Subject, m.Data, respond)
		}
	}
}

// Buckets are those of the lattice, past its hosts.
func (w *Wire) Buckets() sim.Buckets { return w.buckets }
