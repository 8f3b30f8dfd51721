package orchestrator

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/test/sim"
)

// trial is one history while it runs: the lattice, the API, two processes that want to look after it, and the court.
type trial struct {
	ctx   context.Context
	bus   *bus
	api   *api
	court *court
	terms *terms
	procs [2]*process
	// backups of the store, one before each change.
	backups []backup
	// forgotten are applications of which the store forgot something: what they left may stay.
	forgotten map[string]bool
	// wiped: the buckets of the lattice were lost.
	wiped bool
	// deaf are hosts that were cut off. What a process told them before it ended is not known to the next.
	deaf map[string]bool
	// pods is how many pods there were; ends are those that end.
	pods int
	ends *ends
	// faults that go on; each is ended by the function.
	faults map[string]func()
	// blinding are those of them that hide what happens.
	blinding map[string]bool
	log      *journal
	// lattice is its name. haste divides the time that is let pass where it is real; 0: it is virtual.
	lattice string
	haste   time.Duration
}

// process is one process of the operator.
type process struct {
	port *port
	term *fakeTerm
	end  func()
}

// journal keeps log lines.
type journal struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func (j *journal) add(line string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, time.Since(j.began).Round(time.Millisecond).String()+" "+line)
}

// into makes a context whose log lines come here.
func (j *journal) into(ctx context.Context) context.Context {
	return logr.NewContext(ctx, funcr.New(func(prefix, args string) { j.add(prefix + " " + args) }, funcr.Options{Verbosity: 1}))
}

// try runs a history in a bubble and returns the first violation, or nil. A journal, if given, gets the log.
func try(t *testing.T, h history, log *journal) (found *violation) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		if log != nil {
			log.began = time.Now()
			ctx = log.into(ctx)
		}
		b := newBus(h.seed)
		defer b.close()
		x := newTrial(ctx, b, [2]*line{newLine(b, 2*time.Second), newLine(b, 2*time.Second)}, log)
		x.run(h)
		found = x.court.verdict()
	})
	return found
}

func newTrial(ctx context.Context, b *bus, lines [2]*line, log *journal) *trial {
	x := &trial{ctx: ctx, bus: b, api: newAPI(), terms: &terms{}, forgotten: map[string]bool{},
		faults: map[string]func(){}, blinding: map[string]bool{}, deaf: map[string]bool{}, ends: newEnds(), log: log, lattice: "default"}
	x.court = newCourt(x.bus, x.api, x.ends)
	for i, name := range []string{"first", "second"} {
		term := &fakeTerm{terms: x.terms, name: name}
		x.procs[i] = &process{term: term, port: &port{line: lines[i], name: name, court: x.court, lease: term}}
	}
	x.populate()
	return x
}

// start starts a process, unless it runs.
func (x *trial) start(p *process) {
	if p.end != nil {
		return
	}
	c := Config{Lattice: x.lattice, Control: p.port, Applications: x.api, Revisions: fakeRevisions{x.api},
		Teardowns: fakeTeardowns{x.api}, Lease: p.term, Recorder: fakeRecorder{x.api},
		HostEnds: x.ends, IdentityLabel: "pod", Random: func() float64 { return 0.5 }}
	if x.haste > 0 {
		c.HeartbeatInterval, c.ComponentDeadline, c.ProviderDeadline = hastyBeat, 2*hastyBeat, 2*hastyBeat
	}
	o, err := New(c)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(logr.NewContext(x.ctx, logr.FromContextOrDiscard(x.ctx).WithName(p.port.name)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := o.Run(ctx); err != nil {
			panic(err)
		}
	}()
	p.end = func() { cancel(); <-done; p.end = nil }
}

// stop ends a process.
func (x *trial) stop(p *process) {
	if p.end != nil {
		p.end()
	}
}

// run plays the history, ends all faults, and judges what is left.
func (x *trial) run(h history) {
	x.start(x.procs[0])
	for _, s := range h.steps {
		x.log.add("== " + s.String())
		x.court.disturbed(len(x.blinding) > 0)
		verbs[s.verb].do(x, rand.New(rand.NewPCG(s.choice, 1)))
		x.court.disturbed(len(x.blinding) > 0)
		x.pass(s.pause)
		if x.court.verdict() != nil {
			break
		}
	}
	x.calm()
	if x.court.verdict() == nil {
		x.settle()
	}
	if x.court.verdict() == nil && x.haste == 0 {
		x.epilogue(h)
	}
	for _, p := range x.procs {
		x.stop(p)
	}
}

const (
	// settleTime is longer than a silent host is waited for, settleLeast than what was hidden needs to show.
	settleTime  = ghostMemory + 2*time.Minute
	settleLeast = 90 * time.Second
)

// settle waits until the lattice is what the applications say.
func (x *trial) settle() {
	x.pass(settleLeast)
	left := x.differences(true)
	for waited, step := settleLeast, settleLeast/3; len(left) > 0 && waited < x.longest(); waited += step {
		x.pass(step)
		left = x.differences(true)
	}
	left = x.differences(false)
	if len(left) > 0 {
		x.court.blame(left[0].invariant, "%s", left[0].text)
	}
}

// longest is how long the lattice may take to become what the applications say.
func (x *trial) longest() time.Duration {
	if x.haste > 0 {
		return patience * x.haste
	}
	return settleTime
}

// pass lets time go by.
func (x *trial) pass(d time.Duration) {
	if x.haste > 0 {
		time.Sleep(d / x.haste)
		return
	}
	time.Sleep(d)
	synctest.Wait()
}

// fault begins a fault, or ends it when it goes on.
func (x *trial) fault(name string, blinding bool, begin, end func()) {
	if x.endFault(name) {
		return
	}
	begin()
	x.faults[name] = end
	if blinding {
		x.blinding[name] = true
	}
}

func (x *trial) endFault(name string) bool {
	end := x.faults[name]
	if end == nil {
		return false
	}
	end()
	delete(x.faults, name)
	delete(x.blinding, name)
	return true
}

// calm ends all faults.
func (x *trial) calm() {
	x.log.add("== calm")
	x.court.disturbed(len(x.blinding) > 0)
	for name := range x.faults {
		x.endFault(name)
	}
	for uid := range x.ends.all() {
		x.endPod(uid)
	}
	homes := []string{"a", "b", "a"}
	if x.haste > 0 {
		homes = append(homes, "b", "a") // a host that is silent for good is waited for longer than a test in real time may take
	}
	for i, zone := range homes {
		x.home(hostNames[i], zone)
	}
	for _, p := range x.procs {
		x.start(p)
	}
	for _, p := range x.procs {
		p.port.mu.Lock()
		p.port.loseRequests, p.port.loseReplies = 0, 0
		p.port.mu.Unlock()
	}
	x.bus.ClearFaults()
	x.putForeign()
	x.court.disturbed(false)
}

// home makes sure that a host is there and has the zone.
func (x *trial) home(id, zone string) {
	if !x.bus.runs(id) {
		x.begin(id, zone)
		return
	}
	x.label(id, zone)
}

// apps in the order of their names.
func (x *trial) app(name string) *v1beta1.Application {
	x.api.mu.Lock()
	defer x.api.mu.Unlock()
	return x.api.apps[appKey{"ns", name}]
}

// save backs the store up, before it changes.
func (x *trial) save() { x.backups = append(x.backups, x.api.backup()) }

// put applies an application as a user does.
func (x *trial) put(app *v1beta1.Application) {
	x.save()
	x.court.declare(app.Name, manifest.Parse(app.Name, &app.Spec))
	x.court.mu.Lock()
	delete(x.court.lost, app.Name)
	x.court.mu.Unlock()
	x.api.apply(app)
}

// rewritten says whether a configuration was written again after a link that uses it was put, as the commands do of a
// process that was stopped in the middle of them.
func (x *trial) rewritten() bool {
	written := map[string]time.Time{}
	x.eachEntry(sim.ConfigBucket, func(e sim.Entry) { written[e.Key] = e.Time })
	found := false
	x.eachEntry(sim.DataBucket, func(e sim.Entry) {
		spec, err := lattice.Decode[lattice.ComponentSpec](e.Value)
		if err != nil {
			return // claims
		}
		for _, l := range spec.Links {
			for _, name := range slices.Concat(l.SourceConfig, l.TargetConfig) {
				found = found || written[name].After(e.Time)
			}
		}
	})
	return found
}

func (x *trial) eachEntry(bucket sim.Bucket, do func(sim.Entry)) {
	stop := mustHave(x.bus.buckets.Watch(bucket, func(e sim.Entry) {
		if e.Key != "" && len(e.Value) > 0 {
			do(e)
		}
	}))
	stop()
}

// epilogue disturbs a converged lattice without any change: nothing may follow.
func (x *trial) epilogue(h history) {
	kinds := []struct {
		invariant invariant
		do        func()
		// begins: somebody looks at all anew, and may tell hosts again what they do not show to have taken.
		begins bool
	}{
		{invariant: rest, do: func() {}},
		{invariant: connection, do: x.loseConnections},
		{invariant: emptyStore, do: func() { x.api.restore(backup{}) }},
		{invariant: emptyStore, do: x.loseStore, begins: true},
		{invariant: oneHolder, do: func() { x.leader().term.setCut(true) }, begins: true},
		{invariant: rest, do: func() { x.stop(x.leader()) }, begins: true},
		{invariant: rest, do: x.loseBuckets},
	}
	k := kinds[h.seed%uint64(len(kinds))]
	if k.begins && (len(x.forgotten) > 0 || x.rewritten()) {
		// Who begins reads the versions that are kept, and finds what was forgotten; and it cannot know whether a
		// configuration that was written after the link that uses it had another content before.
		k = kinds[0]
	}
	x.commands()
	x.court.effect()
	x.log.add("== epilogue: " + string(k.invariant))
	writes := x.api.writes
	k.do()
	x.pass(3 * time.Minute)
	got := x.commands()
	if effect := x.court.effect(); k.begins {
		got = effect
	}
	if len(got) > 0 {
		x.court.blame(k.invariant, "a converged lattice got %d commands: %s", len(got), strings.Join(got, "; "))
	}
	if k.invariant == rest && !k.begins && x.api.writes != writes {
		x.court.blame(rest, "%d status writes although nothing changed", x.api.writes-writes)
	}
}

// loseConnections cuts both processes off for longer than hosts may be silent.
func (x *trial) loseConnections() {
	for _, p := range x.procs {
		p.port.setCut(true, 0)
	}
	x.pass(3 * time.Minute)
	for _, p := range x.procs {
		p.port.setCut(false, 3*time.Second)
	}
}

// loseStore empties the store for a minute.
func (x *trial) loseStore() {
	full := x.api.backup()
	x.api.restore(backup{})
	x.pass(time.Minute)
	x.api.restore(full)
}

// loseBuckets is an outage of JetStream, after which watches begin anew.
func (x *trial) loseBuckets() {
	x.bus.SetBucketsDown(true)
	x.pass(time.Minute)
	x.bus.SetBucketsDown(false)
}

// commands are what both processes sent since the last call.
func (x *trial) commands() []string {
	return append(x.procs[0].port.commands(), x.procs[1].port.commands()...)
}

// handedOver says whether there was more than one term.
func (x *trial) handedOver() bool {
	x.terms.mu.Lock()
	defer x.terms.mu.Unlock()
	return x.procs[0].term.number+x.procs[1].term.number > 1
}

// leader is the process that holds the lease.
func (x *trial) leader() *process {
	x.terms.mu.Lock()
	defer x.terms.mu.Unlock()
	for _, p := range x.procs {
		if x.terms.holder == p.term {
			return p
		}
	}
	return x.procs[0]
}
