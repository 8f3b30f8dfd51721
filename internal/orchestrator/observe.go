package orchestrator

import (
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/scaler"
)

const (
	askAtOnce     = 32
	askTries      = 3
	retryPause    = time.Second
	refreshRounds = 5
)

// followEvents subscribes to events and looks at all hosts then, so that nothing falls between the two.
func (s *session) followEvents() {
	for s.ctx.Err() == nil {
		done, err := s.config.Control.Events(s.ctx,
			func(e lattice.Event) { s.post(func() { s.onEvent(e) }) },
			func(reason error) { s.post(func() { s.onGap(reason) }) })
		if err == nil {
			s.post(s.look)
			<-done
			return
		}
		s.log.Info("Cannot subscribe to events; trying again", "reason", err.Error())
		s.pause(retryPause)
	}
}

func (s *session) pause(d time.Duration) {
	select {
	case <-s.ctx.Done():
	case <-time.After(d):
	}
}

// onGap freezes: what is known may be old. With the connection back, everything is looked at again before anything is
// commanded.
func (s *session) onGap(reason error) {
	// What was decided before and not sent yet was decided on what is now in question.
	for _, a := range s.apps {
		a.cancel()
	}
	for _, r := range s.records {
		r.cancel()
	}
	s.lost = !s.config.Control.Connected()
	if s.lost {
		s.log.Info("The connection to the lattice is lost; nothing is commanded until it is back", "reason", reason.Error())
		return
	}
	s.bucketsLag = time.Now().Add(bucketLag)
	s.after(bucketLag, s.markOld)
	s.log.Info("Looking at the whole lattice again", "reason", reason.Error())
	for _, h := range s.hosts {
		h.seen(time.Now())
	}
	s.look()
}

// look asks all hosts what they run. Until they have answered, nothing is commanded.
func (s *session) look() {
	s.looking++
	s.spawn(func() {
		for s.ctx.Err() == nil {
			pings, err := s.config.Control.Ping(s.ctx)
			if err == nil {
				s.askAll(pings)
				break
			}
			s.log.Info("Cannot ask for hosts; trying again", "reason", err.Error())
			s.pause(retryPause)
		}
		s.post(func() {
			if s.looking--; s.looking == 0 {
				s.looked = true
				s.missGhosts()
				s.markAll()
				s.reportOrphans()
				s.log.V(1).Info("Looked at the lattice", "hosts", len(s.hosts), "applications", len(s.apps))
			}
		})
	})
}

// askAll reads the inventories of all hosts that answered, some at a time.
func (s *session) askAll(pings []lattice.HostPing) {
	gate := make(chan struct{}, askAtOnce)
	var all sync.WaitGroup
	for _, p := range pings {
		gate <- struct{}{}
		all.Go(func() {
			defer func() { <-gate }()
			s.askHost(p)
		})
	}
	all.Wait()
}

// askHost reads one inventory. A host that answers pings only is there, and what it runs is not known: as long as that is
// so, no teardown is complete.
func (s *session) askHost(p lattice.HostPing) {
	for range askTries {
		inv, err := s.config.Control.HostInventory(s.ctx, p.ID)
		if err == nil {
			s.post(func() { s.setInventory(p.ID, inv) })
			return
		}
		if s.ctx.Err() != nil {
			return
		}
		s.log.Info("A host does not tell what it runs", "host", p.ID, "reason", err.Error())
	}
	s.post(func() { s.refresh(p.ID) })
}

// setInventory takes over what a host says about itself.
func (s *session) setInventory(host string, inv lattice.Inventory) {
	clock := s.clock(host)
	clock.seen(time.Now())
	clock.told = clock.last
	clock.version++
	h := scaler.HostFromInventory(host, inv)
	h.Draining = s.drainOf(inv.Labels) != nil
	s.touch(s.seen.SetHost(h))
	if g, was := s.ghosts[host]; was {
		delete(s.ghosts, host)
		s.log.Info("A host that was silent is back", "host", host, "silent", time.Since(g.since).Round(time.Second).String())
	}
}

// refresh reads the inventory of a host again; news that overtake the answer make it void and it is read once more.
func (s *session) refresh(host string) {
	clock := s.clock(host)
	if clock.refreshing {
		clock.again = true
		return
	}
	clock.refreshing, clock.again = true, false
	s.fetch(host, clock, refreshRounds)
}

func (s *session) fetch(host string, clock *hostClock, rounds int) {
	version := clock.version
	s.spawn(func() {
		inv, err := s.config.Control.HostInventory(s.ctx, host)
		s.post(func() {
			if s.hosts[host] != clock {
				return // it is gone, or came back as another
			}
			if err == nil && version != clock.version && rounds > 1 {
				s.fetch(host, clock, rounds-1)
				return
			}
			clock.refreshing = false
			if err != nil {
				clock.failedProbe = time.Now()
			} else {
				s.setInventory(host, inv)
				s.afterRefresh(host)
			}
			if clock.again {
				s.refresh(host)
			}
		})
	})
}

// bucketLag is how long the watches of buckets may lag behind after a loss of the connection: a consumer whose server was
// away misses its heartbeats, of 5 s, before it is made anew.
const bucketLag = 10 * time.Second

// bucketsKnown says whether what is not in the buckets, as they are seen, can be taken for gone.
func (s *session) bucketsKnown() bool { return !time.Now().Before(s.bucketsLag) }

// markOld marks whoever waits for something to be gone.
func (s *session) markOld() {
	for k, a := range s.apps {
		if len(a.retired.Links)+len(a.retired.Configs) > 0 {
			s.markApp(k)
		}
	}
	s.markRecords()
}

// unsure says whether a host is there that has not told yet what it runs. If it never does, it is dropped as a silent one.
func (s *session) unsure() bool {
	for host := range s.hosts {
		if s.seen.Host(host) == nil {
			return true
		}
	}
	return false
}

// touch marks whom an observation concerns.
func (s *session) touch(c scaler.Change) {
	if c.Placement {
		s.markUnsettled()
	}
	for _, id := range c.IDs {
		s.markID(id)
	}
	for _, name := range c.Applications {
		s.markName(name)
	}
}

// bucket is the state of the watch of one bucket.
type bucket struct {
	synced bool
	// listed are the names seen since a reset, to tell what is gone.
	listed map[string]bool
}

func (s *session) onSpec(c lattice.SpecChange) {
	switch c.Kind {
	case lattice.ChangeReset:
		s.specs = bucket{listed: map[string]bool{}}
	case lattice.ChangeSynced:
		for _, id := range s.seen.LinkSources() {
			if !s.specs.listed[id] {
				s.touch(s.seen.RemoveSpec(id))
			}
		}
		s.specs = bucket{synced: true}
	case lattice.ChangePut:
		s.specs.note(c.Name)
		s.touch(s.seen.SetSpec(c.Name, c.Value, c.Time))
	case lattice.ChangeDelete:
		s.touch(s.seen.RemoveSpec(c.Name))
	}
}

func (s *session) onConfig(c lattice.ConfigChange) {
	switch c.Kind {
	case lattice.ChangeReset:
		s.confs = bucket{listed: map[string]bool{}}
	case lattice.ChangeSynced:
		for _, name := range s.seen.ConfigNames() {
			if !s.confs.listed[name] {
				s.seen.RemoveConfig(name)
				s.markConfig(name)
			}
		}
		s.confs = bucket{synced: true}
	case lattice.ChangePut:
		s.confs.note(c.Name)
		if s.seen.SetConfig(c.Name, c.Value, c.Time) {
			s.markConfig(c.Name)
		}
	case lattice.ChangeDelete:
		s.seen.RemoveConfig(c.Name)
		s.markConfig(c.Name)
	}
}

func (b *bucket) note(name string) {
	if b.listed != nil {
		b.listed[name] = true
	}
}
