package orchestrator

import (
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const (
	// beatsMissed is how many heartbeats a host may miss; beatSlack is added for the way of the last one.
	beatsMissed = 2
	beatSlack   = time.Second
	// ghostMemory is how long a host that went silent may come back and still find the records of what to stop.
	ghostMemory = 10 * time.Minute
	gapsKept    = 4
)

// hostClock is when a host was heard of.
type hostClock struct {
	last time.Time
	// told is when it told all that it runs.
	told time.Time
	// beat is the last heartbeat, gaps the pauses between the last ones.
	beat time.Time
	gaps []time.Duration
	// version counts news of the host, so that an inventory that was overtaken is known as old.
	version     uint64
	refreshing  bool
	again       bool
	failedProbe time.Time
}

// ghost is a host that went silent.
type ghost struct {
	since        time.Time
	applications []string
	// identity is the value of its identity label, if it had one.
	identity string
}

func (s *session) clock(host string) *hostClock {
	c := s.hosts[host]
	if c == nil {
		c = &hostClock{last: time.Now()}
		s.hosts[host] = c
	}
	return c
}

func (c *hostClock) seen(now time.Time) {
	c.last = now
	c.failedProbe = time.Time{}
}

func (c *hostClock) heartbeat(now time.Time) {
	if !c.beat.IsZero() {
		c.gaps = append(c.gaps, now.Sub(c.beat))
		c.gaps = c.gaps[max(0, len(c.gaps)-gapsKept):]
	}
	c.beat = now
}

// interval between heartbeats: what is configured, or less when the host has shown that it sends more often.
func (c *hostClock) interval(configured time.Duration) time.Duration {
	if len(c.gaps) < gapsKept {
		return configured
	}
	longest := time.Second
	for _, gap := range c.gaps {
		longest = max(longest, gap)
	}
	return min(longest, configured)
}

// tick looks for silent hosts. One is dead when it missed its heartbeats and does not answer a direct question either.
func (s *session) tick() {
	now := time.Now()
	if now.Sub(s.shownAt) >= showInterval {
		s.shownAt = now
		s.show()
	}
	s.expireItems(now)
	s.expireDrains(now)
	s.forgetLeft(now)
	s.forgetDeparted(now)
	if now.Sub(s.orphansAt) >= orphanInterval {
		s.reportOrphans()
		s.markRecords() // some wait for nothing but time
	}
	for id, g := range s.ghosts {
		if now.Sub(g.since) > ghostMemory {
			delete(s.ghosts, id)
			s.markRecords()
		}
	}
	if s.lost || s.looking > 0 {
		return
	}
	for id, c := range s.hosts {
		interval := c.interval(s.config.HeartbeatInterval)
		silent := now.Sub(c.last)
		switch {
		case silent > beatsMissed*interval+beatSlack && !c.failedProbe.IsZero():
			s.log.Info("A host is silent and taken for dead", "host", id, "silent", silent.Round(time.Millisecond).String())
			s.dropHost(id, true)
		case silent > interval+beatSlack && !c.refreshing:
			s.refresh(id)
		}
	}
}

// departedMemory is how long a goodbye is remembered though nothing is torn down: the record of an application that is
// deleted in this moment names the hosts that its status named, some of which may just have gone.
const departedMemory = time.Minute

func (s *session) forgetDeparted(now time.Time) {
	if len(s.records) > 0 {
		return
	}
	for id, since := range s.departed {
		if now.Sub(since) > departedMemory {
			delete(s.departed, id)
		}
	}
}

// dropHost forgets a host. One that did not say goodbye may still run what it ran.
func (s *session) dropHost(id string, silent bool) {
	identity := ""
	if h := s.seen.Host(id); h != nil {
		identity = h.Labels[s.config.IdentityLabel]
	}
	change := s.seen.RemoveHost(id)
	running := change.Applications
	for k, it := range s.items {
		if k.Host == id && s.mayAppear(k, it) {
			running = append(slices.Clip(running), s.applicationOf(it.unit))
		}
	}
	delete(s.hosts, id)
	if !silent {
		s.departed[id] = time.Now()
	}
	if silent && len(running) > 0 {
		s.ghosts[id] = ghost{since: time.Now(), applications: running, identity: identity}
	}
	for k, it := range s.items {
		if k.Host == id {
			s.dropItem(k, it)
		}
	}
	s.touch(change)
}

// applicationOf is the name of the application that a unit is about.
func (s *session) applicationOf(u unitKey) string {
	if r := s.records[u.record]; r != nil {
		return r.teardown.Application
	}
	return u.app.name
}

// onHostDeath hears from somebody who knows, for instance that the pod of a host was deleted.
func (s *session) onHostDeath(label, value string) {
	if label == s.config.IdentityLabel {
		delete(s.drains, value)
	}
	for _, id := range s.seen.HostIDs() {
		if s.seen.Host(id).Labels[label] == value {
			s.log.Info("A host is gone", "host", id, "label", label, "value", value)
			s.dropHost(id, false) // whoever says so knows: nothing of it runs any more
		}
	}
	if label == s.config.IdentityLabel {
		s.layGhosts(value)
	}
}

// layGhosts forgets the ghosts of that identity, which certainly do not come back.
func (s *session) layGhosts(identity string) {
	for id, g := range s.ghosts {
		if identity != "" && g.identity == identity {
			s.log.Info("A host that was silent is gone", "host", id)
			delete(s.ghosts, id)
			s.departed[id] = time.Now()
		}
	}
	s.markRecords()
}

// dropReplaced forgets hosts whose place a host took that starts now: their process died without a word.
func (s *session) dropReplaced(host string, labels map[string]string) {
	label := s.config.IdentityLabel
	if label == "" || labels[label] == "" {
		return
	}
	for _, id := range s.seen.HostIDs() {
		if id != host && s.seen.Host(id).Labels[label] == labels[label] {
			s.log.Info("A host was replaced", "host", id, "by", host, "label", label)
			s.dropHost(id, false)
		}
	}
	s.layGhosts(labels[label])
}

// missGhosts notes hosts that ran something, as the last session recorded, and did not answer.
func (s *session) missGhosts() {
	for _, a := range s.apps {
		for _, c := range a.app.Status.Components {
			for _, h := range c.Hosts {
				if s.seen.Host(h.HostID) == nil && !s.gone(h.HostID, string(h.PodUID)) {
					g, known := s.ghosts[h.HostID]
					if !known {
						g.since, g.identity = time.Now(), string(h.PodUID)
					}
					if !slices.Contains(g.applications, a.key.name) {
						g.applications = append(slices.Clip(g.applications), a.key.name)
					}
					s.ghosts[h.HostID] = g
				}
			}
		}
	}
}

// haunted says whether a host that may come back ran something of an application.
func (s *session) haunted(application string) bool {
	for _, g := range s.ghosts {
		for _, name := range g.applications {
			if name == application {
				return true
			}
		}
	}
	return false
}

func (s *session) onHostStarted(host string, e lattice.HostStarted) {
	delete(s.departed, host)
	s.dropReplaced(host, e.Labels)
	s.callOff(e.Labels)
	// A host begins empty, also one that was here before under this id: what it was told then is void.
	for k, it := range s.items {
		if k.Host == host && !it.flying {
			s.dropItem(k, it)
		}
	}
	s.setInventory(host, lattice.Inventory{FriendlyName: e.FriendlyName, Labels: e.Labels, Version: e.Version})
}

func (s *session) onHeartbeat(host string, e lattice.HostHeartbeat) {
	s.clock(host).heartbeat(time.Now())
	s.setInventory(host, e.Inventory)
}
