package orchestrator

import (
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/scaler"
)

const (
	// linger is how long what is replaced goes on running on a host that drains: nodes take so long, at most, to send
	// requests to the others instead.
	linger = 5 * time.Second
	// askedMemory is how long a host drains for whoever asked and asks no more, and who only ends it then.
	askedMemory = time.Minute
)

// drain is a host that is about to end, by the uid of its pod. Nothing of it is stored: who leads next is told again.
type drain struct {
	since time.Time
	// told: it is known from those who end the pod, and cannot be called off. asked is when somebody asked last.
	told  bool
	asked time.Time
}

// onHostEnding hears that the pod of a host is being ended.
func (s *session) onHostEnding(label, value string) {
	if label == s.config.IdentityLabel && value != "" {
		s.drain(value).told = true
	}
}

// drain returns the drain of a pod, which begins now if it is new.
func (s *session) drain(uid string) *drain {
	d := s.drains[uid]
	if d == nil {
		d = &drain{since: time.Now()}
		s.drains[uid] = d
		s.markDraining(uid, true)
	}
	return d
}

// drainOf returns the drain of a host with these labels, or nil.
func (s *session) drainOf(labels map[string]string) *drain {
	uid := labels[s.config.IdentityLabel]
	if uid == "" {
		return nil
	}
	return s.drains[uid]
}

// hostsIn returns the hosts of a pod: one, or none.
func (s *session) hostsIn(uid string) (found []*scaler.Host) {
	for _, id := range s.seen.HostIDs() {
		if h := s.seen.Host(id); s.config.IdentityLabel != "" && h.Labels[s.config.IdentityLabel] == uid {
			found = append(found, h)
		}
	}
	return found
}

func (s *session) markDraining(uid string, draining bool) {
	for _, h := range s.hostsIn(uid) {
		s.log.Info("A host drains, or no longer does", "host", h.ID, "pod", uid, "drains", draining)
		s.voidFor(h.ID)
		s.touch(s.seen.SetDraining(h.ID, draining))
	}
}

// voidFor voids what was decided for a host, and not sent yet.
func (s *session) voidFor(host string) {
	for _, a := range s.apps {
		for b := range a.batches {
			if slices.ContainsFunc(b.commands, func(c scaler.Command) bool { return c.Host == host }) {
				b.void.Store(true)
			}
		}
	}
}

// serveDrains answers who asks for hosts to be drained, as long as this process leads.
func (s *session) serveDrains() {
	for s.ctx.Err() == nil {
		done, err := s.config.Drains.ServeDrains(s.ctx, s.askedToDrain)
		if err == nil {
			<-done
			return
		}
		s.log.Info("Cannot take requests to drain hosts; trying again", "reason", err.Error())
		s.pause(retryPause)
	}
}

// askedToDrain says what is left to do before the host of a pod may end. It is called from any goroutine. It does not
// answer as long as not enough is known, nor when the session has ended.
func (s *session) askedToDrain(uid string) (left lattice.DrainAnswer, ok bool) {
	answer := make(chan lattice.DrainAnswer, 1)
	s.post(func() {
		if len(s.hostsIn(uid)) > 0 {
			s.drain(uid).asked = time.Now()
		}
		if s.mayAct() {
			answer <- s.leftOn(uid)
		}
		close(answer)
	})
	select {
	case left, ok = <-answer:
		return left, ok
	case <-s.ctx.Done():
		return left, false
	}
}

// leftOn counts what live applications still have on the host of a pod. What runs for nobody is replaced by nobody.
func (s *session) leftOn(uid string) (a lattice.DrainAnswer) {
	for _, h := range s.hostsIn(uid) {
		a.Known = true
		a.Components += s.ours(h.Components)
		a.Providers += s.ours(h.Providers)
	}
	return a
}

func (s *session) ours(running map[string]scaler.Instance) (n int) {
	for _, i := range running {
		if len(s.index.names[i.Application()]) > 0 {
			n++
		}
	}
	return n
}

// callOff ends the drain of a host that begins: its container was started again, and its pod lives on.
func (s *session) callOff(labels map[string]string) {
	if d := s.drainOf(labels); d != nil && !d.told {
		s.endDrain(labels[s.config.IdentityLabel])
	}
}

func (s *session) endDrain(uid string) {
	delete(s.drains, uid)
	s.markDraining(uid, false)
}

// expireDrains forgets drains that somebody asked for who has not asked for long, and whose host lives on.
func (s *session) expireDrains(now time.Time) {
	for uid, d := range s.drains {
		if !d.told && now.Sub(d.asked) > askedMemory {
			s.endDrain(uid)
		}
	}
}

// leavesAt is when what is replaced may end on a host that drains.
func (s *session) leavesAt(a *appState, host string) time.Time {
	since := a.replaced
	if h := s.seen.Host(host); h != nil {
		if d := s.drainOf(h.Labels); d != nil && d.since.After(since) {
			since = d.since
		}
	}
	if a.replaced.IsZero() {
		since = time.Now()
	}
	return since.Add(linger)
}

// noteLeaving notes since when what runs on hosts that drain is there elsewhere, and returns when to plan again.
func (s *session) noteLeaving(a *appState, now, wake time.Time) time.Time {
	switch {
	case len(a.outcome.Leaving) == 0 || !a.outcome.Replaced:
		a.replaced = time.Time{}
		return wake
	case a.replaced.IsZero():
		a.replaced = now
	}
	for _, host := range a.outcome.Leaving {
		if at := s.leavesAt(a, host); at.After(now) && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	return wake
}
