package orchestrator

import (
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// undeployLag is how long a record waits for the news that its application is deleted, undeployed or moved. The record is
// written first; if the rest never happened, the application goes on and the record is void.
const undeployLag = time.Minute

// deletePause is how long a deleted application is left running: who deletes and puts at once, as wash does, gets no
// restart.
const deletePause = 300 * time.Millisecond

// inheritedPause is how long a record of another term is kept: what its holder had sent before it was stopped may arrive.
const inheritedPause = 15 * time.Second

// record is a teardown record that is being worked off.
type record struct {
	id       string
	teardown Teardown
	since    time.Time
	removing bool
	// inherited: it is older than this session.
	inherited bool
	// batches under way, as those of an application.
	batches map[*batch]bool
}

// cancel voids what was decided for the record.
func (r *record) cancel() {
	for b := range r.batches {
		b.void.Store(true)
	}
}

func (s *session) onTeardown(c TeardownChange) {
	switch c.Kind {
	case lattice.ChangeReset:
		s.recordsKnown = false
		s.recordSync = map[string]bool{}
	case lattice.ChangeSynced:
		for id := range s.records {
			if !s.recordSync[id] {
				s.dropRecord(id)
			}
		}
		s.recordSync = nil
		s.recordsKnown = true
		s.markRecords()
	case lattice.ChangePut:
		if s.recordSync != nil {
			s.recordSync[c.Name] = true
		}
		if s.records[c.Name] == nil {
			s.records[c.Name] = &record{id: c.Name, since: time.Now(), inherited: s.recordSync != nil, batches: map[*batch]bool{}}
		}
		s.records[c.Name].teardown = c.Value
		s.markRecord(c.Name)
	case lattice.ChangeDelete:
		s.dropRecord(c.Name)
		s.reportOrphans()
	}
}

// dropRecord forgets a record. Nothing more is ended in its name.
func (s *session) dropRecord(id string) {
	if r := s.records[id]; r != nil {
		r.cancel()
		delete(s.records, id)
	}
}

// reconsiderRecords voids what was decided for records: an application changed, and may want some of it now.
func (s *session) reconsiderRecords() {
	for _, r := range s.records {
		r.cancel()
	}
	s.markRecords()
}

// planRecord ends what a record lists, and removes the record when nothing of it is left or can still appear.
func (s *session) planRecord(r *record) {
	if wait := s.stillDeployed(r); wait > 0 {
		s.after(wait, func() { s.markRecord(r.id) })
		return
	}
	if wait := deletePause - time.Since(r.since); wait > 0 && len(s.index.names[r.teardown.Application]) == 0 {
		s.after(wait, func() { s.markRecord(r.id) })
		return
	}
	if wait := s.unexplained(r); wait > 0 {
		s.after(wait, func() { s.markRecord(r.id) })
		return
	}
	unit, now := unitKey{record: r.id}, time.Now()
	t := s.complete(r.teardown)
	commands, done := scaler.PlanTeardown(scaler.Teardown{
		Application: t.Application, IDs: t.IDs, Links: t.Links, Configs: t.Configs,
	}, live{s}, s.seen)
	s.satisfied(unit, commands, now)
	send, wake := s.admit(unit, commands, now)
	if len(send) > 0 {
		b := &batch{session: s, unit: unit, commands: send}
		r.batches[b] = true
		s.start(b, func() { delete(r.batches, b) })
	}
	if !wake.IsZero() {
		s.after(time.Until(wake), func() { s.markRecord(r.id) })
	}
	if done && !r.removing && s.bucketsKnown() && !s.unsure() && !s.haunted(t.Application) && !s.pendingElsewhere(t) && s.confirmed(r, now) {
		s.finish(r)
	}
}

// stillDeployed is how long to wait yet, because the very application that the record is about still wants all that.
func (s *session) stillDeployed(r *record) time.Duration {
	for k := range s.unread {
		// What this one wants is not known yet. One whose version cannot be found holds up its own namesakes only.
		if a := s.apps[k]; a != nil && (a.versionError == "" || k.name == r.teardown.Application) {
			return retryPause
		}
	}
	for _, k := range s.index.names[r.teardown.Application] {
		a := s.apps[k]
		if a != nil && string(a.app.UID) == r.teardown.UID && k.namespace == r.teardown.Namespace && !a.deployment.Undeployed {
			return undeployLag - time.Since(r.since)
		}
	}
	return 0
}

// unexplainedPause is how long records wait for that of an application that went from under their name.
const unexplainedPause = 15 * time.Second

// vanished is an application that went.
type vanished struct {
	uid   string
	since time.Time
}

// unexplained is how long to wait yet, because an application of the record's name went and has no record of that: what it
// wanted is not the record's to end. Its record is on its way, or the store is lost, and this record with it.
func (s *session) unexplained(r *record) time.Duration {
	name := r.teardown.Application
	gone, ok := s.vanished[name]
	if !ok || len(s.index.names[name]) > 0 {
		return 0
	}
	wait := unexplainedPause - time.Since(gone.since)
	if wait <= 0 || s.explains(gone) {
		delete(s.vanished, name)
		return 0
	}
	return wait
}

// explains says whether there is a record of why an application went. An older one is of an earlier undeployment.
func (s *session) explains(gone vanished) bool {
	for _, r := range s.records {
		if r.teardown.UID == gone.uid && gone.since.Sub(r.since) < undeployLag {
			return true
		}
	}
	return false
}

// pendingElsewhere says whether a command from before the record may still bring back what the record ends. What a live
// application wants is none of the record's business.
func (s *session) pendingElsewhere(t Teardown) bool {
	l := live{s}
	keep := func(list []string, wanted func(string) bool) (out []string) {
		for _, x := range list {
			if !wanted(x) {
				out = append(out, x)
			}
		}
		return out
	}
	var links []lattice.LinkKey
	for _, key := range t.Links {
		if !l.WantsLink(key) {
			links = append(links, key)
		}
	}
	return s.pendingFor(keep(t.IDs, l.WantsID), keep(t.Configs, l.WantsConfig), links)
}

// confirmed says whether every host that ran the application is there and shows that it no longer does. One that is
// missing is waited for as long as any silent host.
func (s *session) confirmed(r *record, now time.Time) bool {
	if now.Sub(r.since) > ghostMemory {
		return true
	}
	if wait := inheritedPause - now.Sub(r.since); r.inherited && wait > 0 {
		s.after(wait, func() { s.markRecord(r.id) })
		return false
	}
	for _, host := range r.teardown.Hosts {
		if s.seen.Host(host) == nil && !s.gone(host, r.teardown.Pods[host]) {
			return false
		}
	}
	return true
}

// gone says whether a host that is not there certainly ended: it said goodbye, or its pod, where it had one of ours, is no
// more.
func (s *session) gone(host, pod string) bool {
	if _, departed := s.departed[host]; departed {
		return true
	}
	if pod == "" || s.config.HostEnds == nil {
		return false
	}
	alive, known := s.config.HostEnds.Alive(s.config.IdentityLabel, pod)
	return known && !alive
}

// finish removes a record whose work is done.
func (s *session) finish(r *record) {
	r.removing = true
	s.spawn(func() {
		err := s.config.Teardowns.Remove(s.ctx, r.id)
		s.post(func() {
			if err == nil {
				delete(s.left, r.teardown.UID)
				s.log.Info("Torn down", "application", r.teardown.Application, "record", r.id)
				return
			}
			s.log.Info("A teardown record cannot be removed; trying again", "record", r.id, "reason", err.Error())
			s.after(retryPause, func() { r.removing = false; s.markRecord(r.id) })
		})
	})
}

// leftover is what an application had when it went.
type leftover struct {
	since   time.Time
	links   []lattice.LinkKey
	configs []string
}

// leave remembers what an application had, and what of its earlier versions was still being removed: the record, which
// was written from its spec and status, may not know of the last moments.
func (s *session) leave(a *appState) {
	if a.model == nil {
		return
	}
	a.retire(a.model)
	l := leftover{since: time.Now(), configs: a.retired.Configs}
	for _, link := range a.retired.Links {
		l.links = append(l.links, link.Key())
	}
	s.left[string(a.app.UID)] = l
}

// complete adds to a record what its application left.
func (s *session) complete(t Teardown) Teardown {
	l, ok := s.left[t.UID]
	if !ok {
		return t
	}
	for _, key := range l.links {
		if !slices.Contains(t.Links, key) {
			t.Links = append(slices.Clip(t.Links), key)
		}
	}
	for _, name := range l.configs {
		if !slices.Contains(t.Configs, name) {
			t.Configs = append(slices.Clip(t.Configs), name)
		}
	}
	return t
}

// forgetLeft drops what no record came for.
func (s *session) forgetLeft(now time.Time) {
	for name, gone := range s.vanished {
		if now.Sub(gone.since) > unexplainedPause {
			delete(s.vanished, name) // no record waits for it any more
		}
	}
	for uid, l := range s.left {
		if now.Sub(l.since) > ghostMemory && !s.hasRecord(uid) {
			delete(s.left, uid)
		}
	}
}

func (s *session) hasRecord(uid string) bool {
	for _, r := range s.records {
		if r.teardown.UID == uid {
			return true
		}
	}
	return false
}
