package orchestrator

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/scaler"
	"github.com/trellis-operator/trellis/test/sim"
)

// port is the way of one process to the lattice. It can be cut, held up, and lose what passes; what is sent passes the
// court.
type port struct {
	*line
	name  string
	court *court
	lease *fakeTerm
	// gates are those of the watches of the buckets.
	gates []*gate

	mu sync.Mutex
	// looked: hosts were asked since the connection is there.
	looked bool
	// held is open while what is sent is stuck on its way; it arrives when held is closed.
	held chan struct{}
	// so many of the next requests are lost before, and so many after they took effect.
	loseRequests, loseReplies int
	weather                   weather
}

var _ Control = (*port)(nil)

var errTimeout = sim.ErrTimeout

// weather is what happens to events, in percent.
type weather struct {
	random            *rand.Rand
	lost, twice, late int
	// most is how late an event may be.
	most time.Duration
}

func (p *port) Events(ctx context.Context, handle func(lattice.Event), gap func(error)) (<-chan struct{}, error) {
	return p.line.Events(ctx, func(e lattice.Event) { p.pass(ctx, e, handle) }, gap)
}

// pass lets an event through as the weather is.
func (p *port) pass(ctx context.Context, e lattice.Event, handle func(lattice.Event)) {
	p.mu.Lock()
	w := &p.weather
	var lost, twice bool
	var late time.Duration
	if w.random != nil {
		lost, twice = w.random.IntN(100) < w.lost, w.random.IntN(100) < w.twice
		if w.random.IntN(100) < w.late {
			late = time.Duration(w.random.Int64N(int64(w.most)))
		}
	}
	p.mu.Unlock()
	if lost {
		return
	}
	if late > 0 {
		go func() {
			if sleep(ctx, late) {
				handle(e)
			}
		}()
	}
	if late == 0 || twice {
		handle(e)
	}
}

// sleep returns false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// gate lets what a watch reports through, or keeps it for later.
type gate struct {
	mu      sync.Mutex
	shut    bool
	waiting []func()
}

func (g *gate) pass(report func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		g.waiting = append(g.waiting, report)
		return
	}
	report()
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut = shut; shut {
		return
	}
	for _, report := range g.waiting {
		report()
	}
	g.waiting = nil
}

func (p *port) gate() *gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := &gate{}
	p.gates = append(p.gates, g)
	return g
}

func (p *port) WatchLattice(ctx context.Context, handle func(lattice.SpecChange)) <-chan struct{} {
	g := p.gate()
	return p.line.WatchLattice(ctx, func(c lattice.SpecChange) { g.pass(func() { handle(c) }) })
}

func (p *port) WatchConfig(ctx context.Context, handle func(lattice.ConfigChange)) <-chan struct{} {
	g := p.gate()
	return p.line.WatchConfig(ctx, func(c lattice.ConfigChange) { g.pass(func() { handle(c) }) })
}

// setCut breaks or mends the connection. The watches follow some time after it is back.
func (p *port) setCut(cut bool, lag time.Duration) {
	if cut {
		p.setDeaf(true)
		p.disconnect()
		p.forgetLook()
		return
	}
	p.forgetLook()
	p.reconnect()
	time.AfterFunc(lag, func() { p.setDeaf(false) })
}

// forgetLook demands another look, unless nobody can say when the connection was gone and when it was back.
func (p *port) forgetLook() {
	if p.blinks {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = false
}

func (p *port) hasLooked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looked
}

// setDeaf stops the watches of the buckets, or lets them go on.
func (p *port) setDeaf(deaf bool) {
	p.mu.Lock()
	gates := slices.Clone(p.gates)
	p.mu.Unlock()
	for _, g := range gates {
		g.set(deaf)
	}
}

// setHeld makes what is sent stick on its way, or lets all of it arrive.
func (p *port) setHeld(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
	if held {
		p.held = make(chan struct{})
	}
}

func (p *port) Ping(ctx context.Context) (pings []lattice.HostPing, err error) {
	connected := p.Connected()
	answer := make(chan []lattice.HostPing, 1) // one that comes too late stays in it
	err = p.way(ctx, false, func(ctx context.Context) error {
		pings, err := p.line.Ping(ctx)
		answer <- pings
		return err
	})
	if err == nil {
		pings = <-answer
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = p.looked || err == nil && connected && p.Connected()
	return pings, err
}

func (p *port) HostInventory(ctx context.Context, host string) (inv lattice.Inventory, err error) {
	answer := make(chan lattice.Inventory, 1) // one that comes too late stays in it
	err = p.way(ctx, false, func(ctx context.Context) error {
		inv, err := p.line.HostInventory(ctx, host)
		answer <- inv
		return err
	})
	if err == nil {
		inv = <-answer
	}
	return inv, err
}

// way is the way of a request. A command that is held up arrives later; nobody hears the answer.
func (p *port) way(ctx context.Context, command bool, do func(context.Context) error) error {
	p.mu.Lock()
	held, lost := p.held, take(&p.loseRequests)
	mute := !lost && take(&p.loseReplies)
	p.mu.Unlock()
	switch {
	case held != nil:
		if command {
			go func() {
				<-held
				_ = do(context.WithoutCancel(ctx))
			}()
		}
		sleep(ctx, 2*time.Second)
		return errTimeout
	case lost:
		sleep(ctx, 2*time.Second)
		return errTimeout
	}
	err := do(ctx)
	if mute {
		sleep(ctx, 2*time.Second)
		return errTimeout
	}
	return err
}

func take(n *int) bool {
	if *n == 0 {
		return false
	}
	*n--
	return true
}

// send is the way of a command, past the court.
func (p *port) send(ctx context.Context, c scaler.Command, do func(context.Context) error) error {
	p.court.judge(p, c)
	return p.way(ctx, true, do)
}

func (p *port) ScaleComponent(ctx context.Context, cmd lattice.ScaleComponent) (notice string, err error) {
	c := scaler.Command{Verb: scaler.Scale, Host: cmd.HostID, ID: cmd.ComponentID, Image: cmd.ComponentRef, Count: cmd.Count,
		Annotations: cmd.Annotations, Config: cmd.Config}
	return "", p.send(ctx, c, func(ctx context.Context) error { _, err := p.line.ScaleComponent(ctx, cmd); return err })
}

func (p *port) UpdateComponent(ctx context.Context, cmd lattice.UpdateComponent) (notice string, err error) {
	c := scaler.Command{Verb: scaler.Update, Host: cmd.HostID, ID: cmd.ComponentID, Image: cmd.NewComponentRef, Annotations: cmd.Annotations}
	return "", p.send(ctx, c, func(ctx context.Context) error { _, err := p.line.UpdateComponent(ctx, cmd); return err })
}

func (p *port) StartProvider(ctx context.Context, cmd lattice.StartProvider) error {
	c := scaler.Command{Verb: scaler.StartProvider, Host: cmd.HostID, ID: cmd.ProviderID, Image: cmd.ProviderRef,
		Annotations: cmd.Annotations, Config: cmd.Config}
	return p.send(ctx, c, func(ctx context.Context) error { return p.line.StartProvider(ctx, cmd) })
}

func (p *port) StopProvider(ctx context.Context, host, id string) error {
	c := scaler.Command{Verb: scaler.StopProvider, Host: host, ID: id}
	return p.send(ctx, c, func(ctx context.Context) error { return p.line.StopProvider(ctx, host, id) })
}

func (p *port) PutLink(ctx context.Context, l lattice.Link) error {
	return p.send(ctx, scaler.Command{Verb: scaler.PutLink, Link: &l}, func(ctx context.Context) error { return p.line.PutLink(ctx, l) })
}

func (p *port) DeleteLink(ctx context.Context, key lattice.LinkKey) error {
	l := lattice.Link{SourceID: key.SourceID, Name: key.Name, WitNamespace: key.WitNamespace, WitPackage: key.WitPackage}
	return p.send(ctx, scaler.Command{Verb: scaler.DeleteLink, Link: &l}, func(ctx context.Context) error { return p.line.DeleteLink(ctx, key) })
}

func (p *port) PutConfig(ctx context.Context, name string, config lattice.Config) error {
	c := scaler.Command{Verb: scaler.PutConfig, ID: name, Values: config}
	return p.send(ctx, c, func(ctx context.Context) error { return p.line.PutConfig(ctx, name, config) })
}

func (p *port) DeleteConfig(ctx context.Context, name string) error {
	c := scaler.Command{Verb: scaler.DeleteConfig, ID: name}
	return p.send(ctx, c, func(ctx context.Context) error { return p.line.DeleteConfig(ctx, name) })
}
