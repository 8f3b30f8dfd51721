package script

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

// Runner does the steps of scripts in a lattice.
type Runner struct {
	lattice *sim.Lattice
	random  *rand.Rand
	report  func()
}

// NewRunner makes a runner; report (may be nil) is called by steps that ask for the counters.
func NewRunner(l *sim.Lattice, seed uint64, report func()) *Runner {
	if report == nil {
		report = func() {}
	}
	return &Runner{lattice: l, random: rand.New(rand.NewPCG(seed, 1)), report: report}
}

// Run does the steps when their time has come, until all are done or ctx ends.
func (r *Runner) Run(ctx context.Context, s Script) error {
	began := time.Now()
	for i, step := range s.Steps {
		if wait := time.Until(began.Add(time.Duration(step.At))); wait > 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
		}
		if err := r.Do(step); err != nil {
			return fmt.Errorf("step %d of the script: %w", i+1, err)
		}
	}
	return nil
}

// Do does one step at once.
func (r *Runner) Do(s Step) error {
	l := r.lattice
	if s.Calm {
		l.ClearFaults()
	}
	if s.Faults != nil {
		l.SetFaults(func(f *sim.Faults) { *f = s.Faults.faults() })
	}
	if s.Buckets != "" {
		l.SetBucketsDown(s.Buckets == "down")
	}
	if s.Start != nil {
		for range max(s.Start.Count, 1) {
			l.Start(sim.Host{ID: s.Start.ID, Labels: s.Start.Labels})
		}
	}
	for _, on := range []struct {
		which *Which
		do    func(id string)
	}{
		{s.Stop, l.Stop}, {s.Kill, l.Kill},
		{s.Restart, func(id string) { l.Restart(id, false) }}, {s.RestartSame, func(id string) { l.Restart(id, true) }},
		{s.Mute, func(id string) { l.Mute(id, true) }}, {s.Unmute, func(id string) { l.Mute(id, false) }},
		{s.Hold, func(id string) { l.Hold(id, true) }}, {s.Release, func(id string) { l.Hold(id, false) }},
	} {
		if on.which != nil {
			for _, id := range r.hosts(*on.which) {
				on.do(id)
			}
		}
	}
	if s.Event != nil {
		if err := r.event(*s.Event); err != nil {
			return err
		}
	}
	if s.Report {
		r.report()
	}
	return nil
}

func (r *Runner) event(e Event) error {
	return r.lattice.Emit(e.Host, lattice.UnknownEvent{Kind: lattice.EventKind(e.Kind), Raw: e.Data})
}

// hosts are those that a step is about.
func (r *Runner) hosts(w Which) []string {
	if w.Host != "" {
		return []string{w.Host}
	}
	key, value, _ := strings.Cut(w.Label, "=")
	var ids []string
	for _, id := range r.lattice.Hosts() {
		inv, alive := r.lattice.Inventory(id)
		if alive && (w.Label == "" || inv.Labels[key] == value) {
			ids = append(ids, id)
		}
	}
	if w.Count <= 0 || w.Count >= len(ids) {
		return ids
	}
	r.random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:w.Count]
}

func (f Faults) faults() sim.Faults {
	flapping := map[string]bool{}
	for _, id := range f.Flapping {
		flapping[id] = true
	}
	failing := f.Failing
	if failing == nil {
		failing = map[string]string{}
	}
	return sim.Faults{
		LoseCommand: f.LoseCommand, LoseReply: f.LoseReply, LoseEvent: f.LoseEvent,
		TwiceReply: f.TwiceReply, TwiceEvent: f.TwiceEvent,
		DelayReply: sim.Range(f.DelayReply), DelayEvent: sim.Range(f.DelayEvent),
		LateEvent: f.LateEvent, LateBy: sim.Range(f.LateBy), WrongEvent: f.WrongEvent,
		Failing: failing, FailStart: f.FailStart, FailText: f.FailText, Flapping: flapping,
	}
}
