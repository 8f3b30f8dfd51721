package orchestrator

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/scaler"
)

const (
	// tickInterval is how often silence of hosts is looked at; firstTicks how often it is looked whether the time to act
	// has come, which nobody tells.
	tickInterval = 500 * time.Millisecond
	firstTicks   = 50 * time.Millisecond
	// settleBatch bounds the plans made before news are looked at again.
	settleBatch = 256
	inboxSize   = 4096
)

// session is one term of leadership. All its state belongs to the goroutine of run; others hand it closures.
type session struct {
	meter  *meter
	config Config
	log    logr.Logger
	owner  *Orchestrator
	ctx    context.Context //nolint:containedctx // the session lives exactly as long as this context
	inbox  chan func()

	seen  *scaler.Lattice
	hosts map[string]*hostClock
	// drains are pods, by their uid, whose hosts are about to end.
	drains map[string]*drain
	// ghosts are hosts that went silent: they may come back with what ran on them.
	ghosts map[string]ghost
	// departed is when hosts said goodbye, as long as something is torn down that they may have run.
	departed map[string]time.Time
	specs    bucket
	confs    bucket
	// bucketsLag is until when the watches of the two may be behind.
	bucketsLag time.Time
	// looking counts rounds of asking all hosts that are under way; nothing is commanded meanwhile.
	looking int
	looked  bool
	lost    bool

	apps map[appKey]*appState
	// unread are those whose model is not known yet, unsettled those that hosts concern which come or go.
	unread    map[appKey]bool
	unsettled map[appKey]bool
	appsKnown bool
	changed   changedApps
	index     index

	records      map[string]*record
	recordsKnown bool
	// vanished is who went last under a name.
	vanished map[string]vanished
	// left is what applications that are gone had, by UID, for their records.
	left       map[string]leftover
	recordSync map[string]bool
	orphansAt  time.Time
	shownAt    time.Time

	items map[scaler.Item]*item
	load  load
	// owned are the items of each unit.
	owned map[unitKey]map[scaler.Item]*item
	dirty queue[unitKey]
	slots slots
	// writes are those of status under way, unwritten are applications that wait for their turn.
	writes    int
	unwritten queue[appKey]
	work      sync.WaitGroup
}

func newSession(o *Orchestrator) *session {
	s := &session{
		config: o.config, owner: o, inbox: make(chan func(), inboxSize),
		seen: scaler.NewLattice(), hosts: map[string]*hostClock{}, drains: map[string]*drain{}, ghosts: map[string]ghost{}, departed: map[string]time.Time{},
		apps: map[appKey]*appState{}, unread: map[appKey]bool{}, unsettled: map[appKey]bool{}, changed: changedApps{signal: make(chan struct{}, 1), keys: map[appKey]bool{}},
		index: newIndex(), records: map[string]*record{}, vanished: map[string]vanished{}, left: map[string]leftover{}, items: map[scaler.Item]*item{}, load: newLoad(), owned: map[unitKey]map[scaler.Item]*item{},
		slots: newSlots(o.config.PerHost, o.config.PerLattice),
	}
	o.config.Metrics.enter(s, o.config.Lattice)
	return s
}

// run works until ctx ends, and returns when everything it started has ended.
func (s *session) run(ctx context.Context) {
	defer s.config.Metrics.leave(s)
	ctx, cancel := context.WithCancel(ctx)
	s.ctx = ctx
	s.owner.term.Store(s)
	defer s.owner.term.Store(nil)
	s.log = logr.FromContextOrDiscard(ctx).WithValues("lattice", s.config.Lattice)
	feeds := s.subscribe()
	s.log.Info("Looking after the lattice")
	ticker := time.NewTicker(firstTicks)
	defer ticker.Stop()
	for begun := false; ctx.Err() == nil; {
		s.wait(ticker.C)
		s.settle()
		if !begun && s.config.Lease.Valid() {
			begun = true
			ticker.Reset(tickInterval)
		}
	}
	cancel()
	for _, done := range feeds {
		<-done
	}
	s.work.Wait()
	s.log.Info("No longer looking after the lattice")
}

// wait blocks for news and takes all that are there; a burst of them costs one plan for each application concerned.
func (s *session) wait(tick <-chan time.Time) {
	if !s.dirty.empty() && s.mayAct() {
		select {
		case f := <-s.inbox:
			f()
		default:
		}
	} else {
		select {
		case <-s.ctx.Done():
			return
		case f := <-s.inbox:
			f()
		case <-s.changed.signal:
			s.readApps()
		case <-tick:
			s.tick()
		}
	}
	for range inboxSize {
		select {
		case f := <-s.inbox:
			f()
		case <-s.changed.signal:
			s.readApps()
		default:
			return
		}
	}
}

// post hands a closure to the session's goroutine; it is dropped when the session has ended.
func (s *session) post(f func()) {
	select {
	case s.inbox <- f:
	case <-s.ctx.Done():
	}
}

// spawn runs f beside the session, which waits for it at its end.
func (s *session) spawn(f func()) {
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		f()
	}()
}

// after posts f after a time, unless the session ends before.
func (s *session) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(max(d, 0), func() { s.post(f) })
}

// mayAct says whether enough is known, and whether we may command.
func (s *session) mayAct() bool {
	return s.looked && s.looking == 0 && !s.lost && s.appsKnown && s.recordsKnown &&
		s.specs.synced && s.confs.synced && s.config.Lease.Valid()
}

// settle plans for what is dirty.
func (s *session) settle() {
	if !s.mayAct() {
		return
	}
	for range settleBatch {
		key, ok := s.dirty.pop()
		if !ok {
			break
		}
		switch {
		case key.record != "":
			if r := s.records[key.record]; r != nil {
				s.planRecord(r)
			}
		default:
			if a := s.apps[key.app]; a != nil {
				s.planApp(a)
			}
		}
	}
}

// subscribe starts all feeds and the first look at the hosts.
func (s *session) subscribe() []<-chan struct{} {
	var feeds []<-chan struct{}
	feeds = append(feeds,
		s.config.Control.WatchLattice(s.ctx, func(c lattice.SpecChange) { s.post(func() { s.onSpec(c) }) }),
		s.config.Control.WatchConfig(s.ctx, func(c lattice.ConfigChange) { s.post(func() { s.onConfig(c) }) }),
		s.config.Teardowns.Watch(s.ctx, func(c TeardownChange) { s.post(func() { s.onTeardown(c) }) }))
	s.config.Applications.Subscribe(s.ctx, func(namespace, name string) { s.changed.add(appKey{namespace, name}) })
	s.changed.all()
	if s.config.HostEnds != nil {
		s.config.HostEnds.Watch(s.ctx,
			func(label, value string) { s.post(func() { s.onHostEnding(label, value) }) },
			func(label, value string) { s.post(func() { s.onHostDeath(label, value) }) })
	}
	if s.config.Drains != nil {
		s.spawn(s.serveDrains)
	}
	s.spawn(s.followEvents)
	return feeds
}
