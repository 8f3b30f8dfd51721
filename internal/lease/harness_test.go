package lease

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/orchestrator"
)

var _ orchestrator.Lease = (*Lease)(nil)

const patience = 30 * time.Second

// quick is a configuration whose terms change fast, with the proportions of the defaults.
func quick(conn *nats.Conn, holder string) Config {
	return Config{
		Conn: conn, Cluster: "test", Lattice: "default", Holder: holder,
		TTL: 1200 * time.Millisecond, Renew: 150 * time.Millisecond, Margin: 600 * time.Millisecond, CommandTimeout: 400 * time.Millisecond,
	}
}

// gate is a network that can stall and break.
type gate struct {
	mu     sync.Mutex
	open   *sync.Cond
	stall  bool
	broken bool
	conns  []net.Conn
}

func newGate() *gate {
	g := &gate{}
	g.open = sync.NewCond(&g.mu)
	return g
}

func (g *gate) Dial(network, address string) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken {
		return nil, errors.New("the network of the test is broken")
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	g.conns = append(g.conns, conn)
	return &gatedConn{Conn: conn, gate: g}, nil
}

func (g *gate) set(stall, broken bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stall, g.broken = stall, broken
	if broken {
		for _, c := range g.conns {
			_ = c.Close()
		}
		g.conns = nil
	}
	g.open.Broadcast()
}

func (g *gate) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.stall {
		g.open.Wait()
	}
}

type gatedConn struct {
	net.Conn
	gate *gate
}

func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gate.wait()
	return n, err
}

func (c *gatedConn) Write(b []byte) (int, error) {
	c.gate.wait()
	return c.Conn.Write(b)
}

func connect(t *testing.T, url string, g *gate) *nats.Conn {
	t.Helper()
	options := []nats.Option{nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond)}
	if g != nil {
		options = append(options, nats.SetCustomDialer(g))
		t.Cleanup(func() { g.set(false, false) })
	}
	conn, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// journal is what the contenders of a test did, in order.
type journal struct {
	mu    sync.Mutex
	terms int
	acts  []act
}

type act struct {
	holder string
	term   int
	at     time.Time
}

func (j *journal) begin() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.terms++
	return j.terms
}

func (j *journal) add(a act) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acts = append(j.acts, a)
}

// next waits for an act that ok accepts, among those after the first n, and returns it.
func (j *journal) next(t *testing.T, n int, what string, ok func(act) bool) act {
	t.Helper()
	var found act
	eventually(t, what, func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, a := range j.acts[n:] {
			if ok(a) {
				found = a
				return true
			}
		}
		return false
	})
	return found
}

func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.acts)
}

// late counts the acts of a term after another term has acted.
func (j *journal) late() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	count, newest := 0, 0
	ended := map[int]bool{}
	for _, a := range j.acts {
		if ended[a.term] {
			count++
		} else if a.term != newest {
			ended[newest], newest = true, a.term
		}
	}
	return count
}

// player holds a lease and acts as often as it may.
type player struct {
	name    string
	gate    *gate
	lease   *Lease
	leave   context.CancelFunc
	done    chan struct{}
	leading chan time.Time
	ended   chan time.Time
}

func play(t *testing.T, j *journal, c Config, g *gate) *player {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	p := &player{
		name: c.Holder, gate: g, lease: l, leave: leave, done: make(chan struct{}),
		leading: make(chan time.Time, 100), ended: make(chan time.Time, 100),
	}
	go func() {
		defer close(p.done)
		if err := l.Hold(ctx, func(ctx context.Context) { p.lead(ctx, j) }); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			t.Errorf("hold %s: %v", p.name, err)
		}
	}()
	t.Cleanup(func() {
		if g != nil {
			g.set(false, false)
		}
		leave()
		<-p.done
	})
	return p
}

func (p *player) lead(ctx context.Context, j *journal) {
	term := 0 // it begins when it may act
	defer func() {
		if term > 0 {
			p.ended <- time.Now()
		}
	}()
	ticker := time.NewTicker(3 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if p.lease.Valid() {
				if term == 0 {
					term = j.begin()
					p.leading <- time.Now()
				}
				j.add(act{holder: p.name, term: term, at: time.Now()})
			}
		}
	}
}

func five(t *testing.T, server *natsd.Server, j *journal) map[string]*player {
	t.Helper()
	players := map[string]*player{}
	for i := range 5 {
		g := newGate()
		name := fmt.Sprintf("p%d", i)
		players[name] = play(t, j, quick(connect(t, server.ClientURL(), g), name), g)
	}
	return players
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond) // the pace of polling
	}
}

func receive(t *testing.T, what string, from <-chan time.Time) time.Time {
	t.Helper()
	select {
	case at := <-from:
		return at
	case <-time.After(patience):
		t.Fatalf("not within %s: %s", patience, what)
		return time.Time{}
	}
}
