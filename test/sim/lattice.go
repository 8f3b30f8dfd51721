package sim

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Defaults of Config, those of wasmCloud 1.9.2 and of NATS.
const (
	DefaultHeartbeat   = 30 * time.Second
	DefaultHealthFirst = 5 * time.Second
	DefaultHealthEvery = 30 * time.Second
	DefaultMaxPayload  = 1 << 20

	hostVersion = "1.9.2"
	// shutdownDelay is how long a host waits for a provider that does not stop by itself.
	shutdownDelay = 300 * time.Millisecond
)

// Config of a lattice.
type Config struct {
	// Lattice is its name. Default: default.
	Lattice string
	// Prefix of control subjects. Default: wasmbus.ctl.
	Prefix string
	// Seed of everything random.
	Seed uint64
	// Heartbeat is the time between two heartbeats of a host. Default: DefaultHeartbeat.
	Heartbeat time.Duration
	// HealthFirst and HealthEvery are when external providers are asked for their health. Defaults: DefaultHealthFirst,
	// DefaultHealthEvery. A negative HealthFirst means never.
	HealthFirst, HealthEvery time.Duration
	// CommandDelay is the time from the arrival of a command to the host's work on it, and so to an immediate answer.
	CommandDelay Range
	// FetchDelay is how long the host fetches an image, with each scale, update and start.
	FetchDelay Range
	// StartDelay is how long a component takes to be instantiated and a provider to be started.
	StartDelay Range
	// StopDelay is how long a provider takes to stop.
	StopDelay Range
	// BucketDelay is the time between what a host reads from a bucket and what it then writes: the window in which two
	// puts of links of one source lose one of them, and in which a start of the source loses one that is put.
	BucketDelay Range
	// MaxPayload: replies and events above it are lost. Default: DefaultMaxPayload.
	MaxPayload int
	// Buckets of the lattice. Default: NewMemory().
	Buckets Buckets
	// Blocking says that calls of Buckets may wait; they then run beside each other and beside the lattice.
	Blocking bool
	// URL and Domain are what hosts say in answer to a ping. URL has a default.
	URL, Domain string
	// NoBuiltins: hosts have none of the builtin providers.
	NoBuiltins bool
	// NoAuctions: hosts take no part in auctions.
	NoAuctions bool
	// Signed: components carry claims. Providers that are no builtins always do.
	Signed bool
	// OnCommand (may be nil) is called with each command when it arrives.
	OnCommand func(Command)
}

// Command is a message that hosts got.
type Command struct {
	Time time.Time
	// Verb is "component.scale" and so on.
	Verb string
	// Object is the host id or the name of the configuration, as in the subject.
	Object string
	Data   []byte
}

// Message is what hosts publish.
type Message struct {
	// Host that published it; all that a host sends goes over one connection, in order.
	Host    string
	Subject string
	Data    []byte
}

// Lattice is a lattice of simulated hosts. It is safe for concurrent use.
type Lattice struct {
	config   Config
	subjects lattice.Subjects
	base     string
	buckets  Buckets
	schedule *schedule
	unwatch  []func()

	mu          sync.Mutex
	dice        *dice
	faults      Faults
	bucketsDown bool
	hosts       map[string]*host
	sorted      []string // of hosts; nil when they changed
	born        int
	subscribers map[int]func(Message)
	nextSub     int
	interest    func(host string, listens bool)
	// specs is what hosts remember of the data bucket.
	specs  map[string]lattice.ComponentSpec
	claims map[string]lattice.StringMap
	// providers by id, for the delivery of links.
	providers map[string]map[*host]*provider
	last      map[string]Message // the event before, by host
	counts    Counts
}

// New makes a lattice without hosts. Close ends it.
func New(c Config) (*Lattice, error) {
	c = c.complete()
	subjects, err := lattice.NewSubjects(c.Prefix, c.Lattice)
	if err != nil {
		return nil, fmt.Errorf("make a simulated lattice: %w", err)
	}
	l := &Lattice{
		config: c, subjects: subjects, buckets: c.Buckets, dice: newDice(c.Seed),
		hosts: map[string]*host{}, subscribers: map[int]func(Message){}, specs: map[string]lattice.ComponentSpec{},
		claims: map[string]lattice.StringMap{}, providers: map[string]map[*host]*provider{}, last: map[string]Message{},
		counts: newCounts(),
	}
	l.base = subjects.HostPing()[:len(subjects.HostPing())-len("host.ping")]
	l.schedule = newSchedule(l.turn)
	stop, err := l.buckets.Watch(DataBucket, l.specChanged)
	if err != nil {
		return nil, fmt.Errorf("watch the bucket of a simulated lattice: %w", err)
	}
	l.unwatch = append(l.unwatch, stop)
	return l, nil
}

func (c Config) complete() Config {
	if c.Lattice == "" {
		c.Lattice = lattice.DefaultLattice
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = DefaultHeartbeat
	}
	if c.HealthFirst == 0 {
		c.HealthFirst = DefaultHealthFirst
	}
	if c.HealthEvery <= 0 {
		c.HealthEvery = DefaultHealthEvery
	}
	if c.MaxPayload <= 0 {
		c.MaxPayload = DefaultMaxPayload
	}
	if c.Buckets == nil {
		c.Buckets = NewMemory()
	}
	if c.URL == "" {
		c.URL = "nats://127.0.0.1:4222"
	}
	return c
}

// Close ends the lattice without a word: nothing happens in it any more.
func (l *Lattice) Close() {
	for _, stop := range l.unwatch {
		stop()
	}
	l.schedule.close()
}

// Subscribe calls handle with each event that arrives, in order, until stop is called.
func (l *Lattice) Subscribe(handle func(Message)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextSub++
	id := l.nextSub
	l.subscribers[id] = handle
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.subscribers, id)
	}
}

// OnInterest calls changed when a host begins or ceases to listen, beginning with those that do.
func (l *Lattice) OnInterest(changed func(host string, listens bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interest = changed
	for _, id := range l.sortedHosts() {
		changed(id, true)
	}
}

// turn does what is due.
func (l *Lattice) turn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		run := l.schedule.pop()
		if run == nil {
			return
		}
		run()
	}
}

// after does something later, in the lattice.
func (l *Lattice) after(d time.Duration, run func()) { l.schedule.add(time.Now().Add(d), 0, run) }

// wait is after with a time out of a range.
func (l *Lattice) wait(r Range, run func(), parts ...string) {
	if r.fixed() && r.Min == 0 {
		run()
		return
	}
	l.after(l.pick(r, parts...), run)
}

func (l *Lattice) pick(r Range, parts ...string) time.Duration {
	if r.fixed() {
		return r.Min
	}
	return r.pick(l.dice.throw(parts...))
}

// io works with the buckets and goes on with what came of it.
func (l *Lattice) io(work func(Buckets) error, then func(error)) {
	switch {
	case l.bucketsDown:
		l.after(outageAnswer, func() { then(ErrUnavailable) })
	case l.config.Blocking:
		go func() {
			err := work(l.buckets)
			l.after(0, func() { then(err) })
		}()
	default:
		then(work(l.buckets))
	}
}

func (l *Lattice) sortedHosts() []string {
	if l.sorted == nil {
		l.sorted = slices.Sorted(maps.Keys(l.hosts))
	}
	return l.sorted
}
