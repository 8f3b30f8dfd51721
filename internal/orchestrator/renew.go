package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// ErrNotNow says that a component can't be renewed at this moment; it may be asked for again.
var ErrNotNow = errors.New("not now")

// Renewal names a component or provider on a host.
type Renewal struct{ Namespace, Application, ID, Host string }

// Renew sends again the command by which a component runs on a host, upon which hosts fetch its secrets anew; a provider,
// which gets them when it starts, it stops, so that the next plan starts it. It does so only with what runs there as the
// deployed version wants. Success means that the command is on its way; the error is ErrNotNow where something else is, or
// this process does not look after the lattice.
func (o *Orchestrator) Renew(ctx context.Context, r Renewal) error {
	s := o.term.Load()
	if s == nil {
		return fmt.Errorf("%w: this process does not look after the lattice", ErrNotNow)
	}
	done := make(chan error, 1)
	s.post(func() { done <- s.renew(r) })
	select {
	case err := <-done:
		return err
	case <-s.ctx.Done():
		return fmt.Errorf("%w: this process looks after the lattice no longer", ErrNotNow)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *session) renew(r Renewal) error {
	c, a := s.renewal(r)
	if a == nil || !s.mayAct() || a.choosing {
		return fmt.Errorf("%w: component %s is not known to run on host %s as application %s/%s wants it", ErrNotNow, r.ID, r.Host, r.Namespace, r.Application)
	}
	now, unit := time.Now(), unitKey{app: a.key}
	if it := s.items[c.Item()]; it != nil && (it.awaits() || now.Before(it.notBefore) || s.inDoubt(c.Item(), it) || s.wouldRename(it, c)) {
		return fmt.Errorf("%w: host %s has another command about component %s", ErrNotNow, r.Host, r.ID)
	}
	it := s.itemFor(c.Item(), unit, now)
	it.begin(c, a.model)
	it.renews = c.Verb == scaler.Scale
	s.noteStart(it, c, now.Add(s.deadlineOf(c)))
	b := &batch{session: s, unit: unit, commands: []scaler.Command{c}}
	a.batches[b] = true
	s.start(b, func() { delete(a.batches, b) })
	return nil
}

const reasonRenewed = "a Secret has changed"

// renewal is the command by which a component runs where it is, nil where it does not run as wanted: all else is for the
// planner to decide.
func (s *session) renewal(r Renewal) (c scaler.Command, a *appState) {
	a, h := s.apps[appKey{r.Namespace, r.Application}], s.seen.Host(r.Host)
	if a == nil || a.model == nil || a.deployment.Undeployed || h == nil || h.Draining {
		return c, nil
	}
	now := h.Components[r.ID]
	for _, w := range a.model.Components {
		if w.ID != r.ID || w.Shared != nil || w.Scaler == nil {
			continue
		}
		if w.Kind == manifest.KindProvider {
			p := h.Providers[r.ID]
			if p.Count == 0 || lattice.NormalizeProviderRef(p.Image) != lattice.NormalizeProviderRef(w.Image) || p.Application() != a.model.Name {
				break
			}
			return scaler.Command{Verb: scaler.StopProvider, Stage: scaler.StageDownProviders, Host: r.Host, ID: r.ID, Image: p.Image, Reason: reasonRenewed}, a
		}
		if now.Count == 0 || now.Image != w.Image || now.Application() != a.model.Name {
			break
		}
		return scaler.Command{
			Verb: scaler.Scale, Stage: scaler.StageComponents, Host: r.Host, ID: r.ID, Image: now.Image, Count: now.Count,
			Config: w.Config, Annotations: now.Annotations, Reason: reasonRenewed,
		}, a
	}
	return c, nil
}

// begin notes that a command about the item is handed to a batch.
func (i *item) begin(c scaler.Command, model *manifest.Model) {
	i.overtaken = time.Time{}
	if starts(i.command) {
		i.overtaken = i.deadline
	}
	i.command, i.sign, i.model, i.flying, i.reported, i.renews = c, signature(c), model, true, false, false
	i.answered, i.deadline, i.effect, i.notBefore, i.failedEarly = time.Time{}, time.Time{}, time.Time{}, time.Time{}, ""
}

// renewing says whether a host was told to fetch the secrets of what it runs again, and has not said that it is done. What it
// is told meanwhile it may carry out before.
func (i *item) renewing(now time.Time) bool { return i.renews && !i.reported && now.Before(i.deadline) }
