package orchestrator

import (
	"fmt"
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

const (
	// wiringDeadline is how long a stored link or configuration may take to show in our watches.
	wiringDeadline = 5 * time.Second
	// calmAfter is how long an effect must last before its item counts as quiet again.
	calmAfter = 30 * time.Second
	// stormLimit commands about one item within stormWindow are more than any change of mind explains.
	stormLimit  = 20
	stormWindow = 10 * time.Second
)

// item is what a command is about, while something is under way about it: at most one command at a time, each with an
// expected effect and a deadline, and growing pauses after failures.
type item struct {
	unit    unitKey
	command scaler.Command
	// sign tells one command from another.
	sign string
	// model that the command was planned for; nil for a record.
	model *manifest.Model
	// flying: handed to a batch, and not answered yet.
	flying bool
	// answered is when the host took the command, deadline when its effect must show.
	answered, deadline time.Time
	// reported: the host said that it is done with the command.
	reported bool
	// renews: the command changes nothing that shows.
	renews bool
	// effect is when the last command had taken effect.
	effect   time.Time
	failures int
	// reason of the last failure, in the words of the host.
	reason string
	// notBefore is when the next try is due.
	notBefore time.Time
	burst     int
	burstFrom time.Time
	// starting is the image that a host was told to run, and may yet until the time is over; starts is how often it was
	// told and has not said that it failed.
	starting      string
	startingUntil time.Time
	starts        int
	// former are images that were to be exchanged, and that it may run still: no host says that an exchange failed.
	former []string
	// doubtUntil: nobody knows whether the last command was carried out; until then it may be.
	doubtUntil time.Time
	// overtaken is when the effect of the command before the last must show, if that was to start something and had not
	// shown when the last was planned.
	overtaken time.Time
	// failedEarly holds a failure that overtook the answer.
	failedEarly string
}

// awaits says whether a command is under way whose effect has not shown.
func (i *item) awaits() bool { return i.flying || !i.deadline.IsZero() }

// mayAppear says whether what the item's command brings about may yet appear.
func (s *session) mayAppear(key scaler.Item, it *item) bool {
	return it.command.Up() && it.awaits() || s.inDoubt(key, it)
}

// inDoubt says whether a command that nobody answered may yet be carried out: until it had its time, and its host told
// since what it runs.
func (s *session) inDoubt(key scaler.Item, it *item) bool {
	switch clock := s.hosts[key.Host]; {
	case it.doubtUntil.IsZero():
	case key.Host == "" && time.Now().Before(it.doubtUntil), clock != nil && !clock.told.After(it.doubtUntil):
		return true
	default:
		it.doubtUntil = time.Time{}
	}
	return false
}

// signature of a command: equal commands ask for the same.
func signature(c scaler.Command) string {
	return fmt.Sprintf("%s|%s|%d|%q|%v|%v|%v", c.Verb, c.Image, c.Count, c.Config, c.Annotations, c.Link, c.Values)
}

// noHostPause is when a lattice without hosts is looked at again, should the first host's arrival be missed.
const noHostPause = 5 * time.Second

// admit decides which of the planned commands are sent now. wake is when the next of the others is due.
func (s *session) admit(unit unitKey, planned []scaler.Command, now time.Time) (send []scaler.Command, wake time.Time) {
	model := s.modelOf(unit)
	later := func(t time.Time) {
		if wake.IsZero() || t.Before(wake) {
			wake = t
		}
	}
	for _, c := range planned {
		if len(s.hosts) == 0 && (c.Verb == scaler.PutLink || c.Verb == scaler.PutConfig) {
			// Hosts store links and configurations, and there is none to ask. That is no failure to back off from. What is
			// to be deleted goes without a host, or the next one would begin with it.
			later(now.Add(noHostPause))
			continue
		}
		if c.Verb == scaler.DeleteConfig && s.unsure() {
			later(now.Add(retryPause)) // a host may use it
			continue
		}
		if s.lacksConfig(c, send) {
			continue // its arrival is news for the unit
		}
		if s.sourceStarts(c, send) {
			continue // when it has started, or failed to, that is news for the unit
		}
		key, sign := c.Item(), signature(c)
		it := s.itemFor(key, unit, now)
		switch {
		case it.flying:
			continue
		case it.renewing(now):
			later(it.deadline)
			continue
		case !it.deadline.IsZero() && it.sign == sign:
			if now.Before(it.deadline) {
				later(it.deadline)
				continue
			}
			s.overdue(key, it)
		case s.wouldRename(it, c):
			s.refresh(c.Host)
			later(now.Add(countPause))
			continue
		case s.overtakes(it, c, model) && now.Before(it.answered.Add(countPause)):
			later(it.answered.Add(countPause))
			continue
		case it.sign == sign && !it.effect.IsZero() && now.Sub(it.effect) < calmAfter && it.notBefore.IsZero():
			// It had its effect and is wanted again so soon: something undoes it. That is no reason to race.
			it.failures++
			it.notBefore = now.Add(pauseBetween(it.failures, s.config.Random()))
		case it.sign != sign && (it.model != model || it.command.Verb != c.Verb):
			// Another number for what just failed is no new beginning.
			it.failures, it.reason, it.notBefore = 0, "", time.Time{}
		}
		s.weigh(key)
		if now.Before(it.notBefore) {
			later(it.notBefore)
			continue
		}
		if it.storm(now) {
			it.notBefore = now.Add(stormWindow)
			later(it.notBefore)
			continue
		}
		it.begin(c, model)
		s.weigh(key)
		s.noteStart(it, c, now.Add(s.deadlineOf(c)))
		send = append(send, c)
	}
	return send, wake
}

func (i *item) storm(now time.Time) bool {
	if now.Sub(i.burstFrom) > stormWindow {
		i.burst, i.burstFrom = 0, now
	}
	i.burst++
	return i.burst > stormLimit
}

// satisfied closes the items of a unit that its plan no longer speaks of: what was commanded has taken effect, or is not
// wanted any more and did not show in time.
func (s *session) satisfied(unit unitKey, planned []scaler.Command, now time.Time) {
	for key, it := range s.owned[unit] {
		if it.flying || slices.ContainsFunc(planned, func(c scaler.Command) bool { return c.Item() == key }) {
			continue
		}
		if now.Before(it.deadline) && !s.shown(it.command) || it.renewing(now) || s.unanswered(key, it) {
			continue // who ends what the application had must not overlook it
		}
		if !it.deadline.IsZero() {
			s.meter.effective(it.command.Verb, now.Sub(it.answered))
		}
		if !it.deadline.IsZero() || it.reason != "" {
			it.effect = now
		}
		it.deadline, it.reason, it.notBefore = time.Time{}, "", time.Time{}
		s.weigh(key)
	}
}

// itemFor returns the item, which from now on belongs to the unit.
func (s *session) itemFor(key scaler.Item, unit unitKey, now time.Time) *item {
	it := s.items[key]
	if it == nil {
		it = &item{burstFrom: now}
		s.items[key] = it
	} else if it.unit != unit {
		s.disown(key, it)
	}
	it.unit = unit
	if s.owned[unit] == nil {
		s.owned[unit] = map[scaler.Item]*item{}
	}
	s.owned[unit][key] = it
	return it
}

func (s *session) disown(key scaler.Item, it *item) {
	if delete(s.owned[it.unit], key); len(s.owned[it.unit]) == 0 {
		delete(s.owned, it.unit)
	}
}

// dropItem forgets an item. The status of its unit may tell its failure, and is made again.
func (s *session) dropItem(key scaler.Item, it *item) {
	if it.reason != "" {
		s.dirty.add(it.unit)
	}
	s.disown(key, it)
	delete(s.items, key)
	s.weigh(key)
}

// failItem notes a failure; the next try follows after a pause.
func (s *session) failItem(key scaler.Item, it *item, reason string) {
	if it.flying {
		it.failedEarly = reason
		return
	}
	s.meter.failed(it.command.Verb)
	it.failures++
	it.reason, it.deadline = reason, time.Time{}
	s.weigh(key)
	pause := pauseBetween(it.failures, s.config.Random())
	it.notBefore = time.Now().Add(pause)
	s.log.Info("A command failed", "verb", string(it.command.Verb), "id", key.ID, "host", key.Host, "failures", it.failures,
		"pause", pause.Round(time.Millisecond).String(), "reason", reason)
	s.dirty.add(it.unit)
}

// overdue is the failure of a command that was taken and had no effect.
func (s *session) overdue(key scaler.Item, it *item) {
	what := string(it.command.Verb)
	if it.command.Image != "" {
		what += " (" + it.command.Image + ")"
	}
	s.failItem(key, it, fmt.Sprintf("%s was accepted and had no effect within %s; the host's log may say why", what, s.deadlineOf(it.command)))
	if key.Host != "" && s.seen.Host(key.Host) != nil {
		s.refresh(key.Host)
	}
}

func (s *session) deadlineOf(c scaler.Command) time.Duration {
	switch c.Verb {
	case scaler.Scale, scaler.Update:
		return s.config.ComponentDeadline
	case scaler.StartProvider, scaler.StopProvider:
		return s.config.ProviderDeadline
	default:
		return wiringDeadline
	}
}

// expireItems looks after deadlines, and forgets items about which nothing is under way.
func (s *session) expireItems(now time.Time) {
	for key, it := range s.items {
		known := s.known(it.unit)
		switch {
		case it.flying || now.Before(it.deadline) || now.Before(it.notBefore) || s.inDoubt(key, it) || s.untold(key, it):
		case s.unanswered(key, it):
			s.refresh(key.Host) // its events may be lost, and its heartbeats
		case !known:
			s.dropItem(key, it)
			s.markRecords()
		case !it.deadline.IsZero():
			s.dirty.add(it.unit)
		case it.reason == "" && now.Sub(it.effect) > 2*calmAfter:
			s.dropItem(key, it)
		}
	}
}

func (s *session) known(u unitKey) bool {
	if u.record != "" {
		return s.records[u.record] != nil
	}
	return s.apps[u.app] != nil
}

// pendingFor says whether something is under way that may yet make one of these ids or configurations appear.
func (s *session) pendingFor(ids, configs []string, links []lattice.LinkKey) bool {
	for key, it := range s.items {
		if !s.mayAppear(key, it) {
			continue
		}
		switch c := it.command; {
		case c.Link != nil && slices.Contains(links, c.Link.Key()),
			key.Host != "" && slices.Contains(ids, key.ID),
			c.Link == nil && key.Host == "" && slices.Contains(configs, key.ID):
			return true
		}
	}
	return false
}
