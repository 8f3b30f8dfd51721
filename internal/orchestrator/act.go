package orchestrator

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trellis-operator/trellis/internal/scaler"
)

// planApp plans for one application, sends what is due, and records how far it is.
func (s *session) planApp(a *appState) {
	if a.model == nil {
		if a.versionError != "" {
			s.recordStatus(a)
		}
		return
	}
	s.owner.plans.Add(1)
	now, unit := time.Now(), unitKey{app: a.key}
	a.outcome = scaler.Plan(scaler.Want{Model: a.model, Retired: a.retired, Keep: s.keepFor(a), Underway: s.underway(a), Load: s.load.of,
		MayLeave: func(host string) bool { return !now.Before(s.leavesAt(a, host)) }}, s.seen)
	s.meter.planned(now)
	s.noteSettled(a)
	s.satisfied(unit, a.outcome.Commands, now)
	send, wake := s.admit(unit, a.outcome.Commands, now)
	if len(send) > 0 {
		b := &batch{session: s, unit: unit, commands: send}
		a.batches[b] = true
		s.tellPlaces(a, send)
		s.start(b, func() { delete(a.batches, b) })
	}
	if s.bucketsKnown() && (len(s.owned[unit]) == 0 || !s.awaiting(unit)) {
		s.settledRetired(a, a.outcome.Retired)
	}
	s.wakeAt(a, s.noteLeaving(a, now, wake))
	s.recordStatus(a)
	s.markRecordsOf(a.key.name)
}

// underway says whether a host was told to run something of an application and has not shown it; nil: none was. It is asked
// for every host, so that what there is to say is gathered once.
func (s *session) underway(a *appState) func(host, id string) bool {
	told := map[scaler.Item]bool{}
	for _, id := range a.ids {
		for _, app := range s.index.ids[id] {
			for key, it := range s.owned[unitKey{app: app}] {
				if key.ID == id && it.awaits() && it.command.Up() {
					told[key] = true
				}
			}
		}
	}
	if len(told) == 0 {
		return nil
	}
	return func(host, id string) bool { return told[scaler.Item{Kind: "instance", Host: host, ID: id}] }
}

// keepFor says which configurations other live applications need.
func (s *session) keepFor(a *appState) func(string) bool {
	return func(name string) bool {
		for _, k := range s.index.configs[name] {
			if o := s.apps[k]; k != a.key && o != nil && o.model != nil {
				if _, configs := footprint(o.model, scaler.Retired{}); slices.Contains(configs, name) {
					return true
				}
			}
		}
		return false
	}
}

// awaiting says whether a command of the unit is under way.
func (s *session) awaiting(unit unitKey) bool {
	for _, it := range s.owned[unit] {
		if it.awaits() {
			return true
		}
	}
	return false
}

func (s *session) wakeAt(a *appState, at time.Time) {
	a.stopTimer()
	if !at.IsZero() {
		a.timer = s.after(time.Until(at), func() { s.markApp(a.key) })
	}
}

// batch is what one plan sends: stage by stage, each when hosts have answered the one before.
type batch struct {
	session  *session
	unit     unitKey
	commands []scaler.Command
	// void: what was decided no longer holds; what was not sent yet stays unsent.
	void atomic.Bool
	// lacking are configurations that could not be stored.
	mu      sync.Mutex
	lacking map[string]bool
}

// start sends a batch beside the session; ended runs within the session when all is answered.
func (s *session) start(b *batch, ended func()) {
	s.spawn(func() {
		for rest := b.commands; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].Stage == rest[0].Stage {
				n++
			}
			b.stage(rest[:n])
			rest = rest[n:]
		}
		s.post(func() { ended(); s.dirty.add(b.unit) })
	})
}

func (b *batch) stage(commands []scaler.Command) {
	var all sync.WaitGroup
	for _, c := range commands {
		all.Go(func() {
			release, ok := b.session.slots.take(b.session.ctx, c)
			if !ok {
				b.session.post(func() { b.session.unsent(c) })
				return
			}
			defer release()
			b.one(c)
		})
	}
	all.Wait()
}

// one sends a command, if it may still be sent at this very moment.
func (b *batch) one(c scaler.Command) {
	s := b.session
	if b.void.Load() || b.lacks(c) || !s.config.Lease.Valid() || !s.config.Control.Connected() {
		s.post(func() { s.unsent(c) })
		return
	}
	s.log.V(1).Info("Command", "verb", string(c.Verb), "host", c.Host, "item", c.Item().ID, "count", c.Count, "reason", c.Reason)
	began := time.Now()
	err := s.send(c)
	s.meter.commanded(c.Verb, time.Since(began), err)
	if err != nil && c.Verb == scaler.PutConfig {
		b.mu.Lock()
		if b.lacking == nil {
			b.lacking = map[string]bool{}
		}
		b.lacking[c.ID] = true
		b.mu.Unlock()
	}
	s.post(func() { s.answered(c, err) })
}

// lacks says whether the command needs a configuration that could not be stored: it would only fail.
func (b *batch) lacks(c scaler.Command) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range c.Configs() {
		if b.lacking[name] {
			return true
		}
	}
	return false
}

// unsent takes a command back.
func (s *session) unsent(c scaler.Command) {
	if it := s.items[c.Item()]; it != nil && it.flying {
		it.flying, it.sign = false, ""
		it.doubtBefore()
		s.weigh(c.Item())
		s.dirty.add(it.unit)
	}
}

// doubtBefore notes that the command before the last may yet be carried out: the last was to replace it, and came to nothing.
func (i *item) doubtBefore() {
	if i.overtaken.After(i.doubtUntil) {
		i.doubtUntil = i.overtaken
	}
}

// answered notes what the host said. From now on the effect is expected.
func (s *session) answered(c scaler.Command, err error) {
	key := c.Item()
	it := s.items[key]
	if it == nil || !it.flying {
		return
	}
	now := time.Now()
	it.flying = false
	if err != nil && c.Up() && (outcomeUnknown(err) || !s.config.Control.Connected()) {
		it.doubtUntil = now.Add(s.deadlineOf(c))
	}
	switch {
	case err != nil && !s.config.Control.Connected():
		// Not the host's fault; everything is looked at again when the connection is back.
		it.sign = ""
	case err != nil && c.Verb == scaler.Update && isUnsupported(err):
		s.seen.MarkNoUpdate(c.Host)
		it.sign, it.former = "", nil
	case err != nil:
		if c.Verb == scaler.Update && isAbsent(c.ID, err) {
			it.former = nil
		}
		it.doubtBefore()
		s.failItem(key, it, err.Error())
		if c.Host != "" && s.seen.Host(c.Host) != nil {
			s.refresh(c.Host)
		}
	case it.failedEarly != "":
		s.failItem(key, it, it.failedEarly)
	default:
		it.answered, it.deadline = now, now.Add(s.deadlineOf(c))
		s.assume(c)
	}
	s.weigh(key)
	s.dirty.add(it.unit)
}

// assume takes over effects that the answer itself proves.
func (s *session) assume(c scaler.Command) {
	if c.Verb == scaler.StopProvider && s.seen.Host(c.Host) != nil {
		s.clock(c.Host).version++
		s.touch(s.seen.SetProvider(c.Host, c.ID, scaler.Instance{}))
	}
}
