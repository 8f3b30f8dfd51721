package scaler

import (
	"fmt"

	"github.com/trellis-operator/trellis/internal/manifest"
)

// target is what should run on a seat, and the spread it counts for.
type target struct {
	count  uint64
	spread int
}

// fill commands what a place lacks, and says whether it lacks anything; what must end is left to release.
func (w *workload) fill(s *seat, t target, blocked bool) bool {
	if s.foreign || t.count == 0 {
		return false
	}
	c, needed := w.start(s, t), true
	if s.now.Count > 0 {
		c, needed = w.adjust(s, t)
	}
	if !needed {
		return false
	}
	w.pending++
	ends := c.Verb == StopProvider || c.Verb == Scale && c.Count == 0
	// What must end to begin anew does so on one host at a time: the others go on serving.
	if !blocked && (!ends || w.pending == 1) {
		w.command(c)
	}
	return true
}

func (w *workload) start(s *seat, t target) Command {
	c := Command{
		Verb: Scale, Stage: StageComponents, Host: s.host.ID, ID: w.c.ID, Image: w.c.Image, Count: uint32(t.count),
		Config: w.c.Config, Annotations: w.annotate(t),
		Reason: w.why(t),
	}
	if w.c.Kind == manifest.KindProvider {
		c.Verb, c.Stage, c.Count = StartProvider, StageProviders, 0
	}
	return c
}

// adjust is the one next step for an instance that runs otherwise than wanted.
func (w *workload) adjust(s *seat, t target) (Command, bool) {
	if w.c.Kind == manifest.KindProvider {
		return w.adjustProvider(s)
	}
	c := w.start(s, t)
	switch current := w.current(s); {
	case !current && s.host.NoUpdate:
		c.Count, c.Config, c.Reason = 0, nil, "the host cannot exchange the image of a running component"
	case s.count() < t.count || !w.configured(s):
		// With another image a host would note the new reference and go on running the old code: name the one that runs.
		c.Image, c.Reason = s.now.Image, fmt.Sprintf("runs with %d, wanted are %d", s.now.Count, t.count)
		// What is too much is taken away by release, when nothing is missing elsewhere.
		c.Count = max(c.Count, s.now.Count)
		if c.Count == s.now.Count {
			c.Reason = "the list of configurations changed"
		}
	case !current:
		c.Verb, c.Count, c.Config, c.Reason = Update, 0, nil, "runs image "+s.now.Image
	default:
		return Command{}, false
	}
	return c, true
}

// adjustProvider stops a provider of another image or configuration; its start follows when it is gone.
func (w *workload) adjustProvider(s *seat) (Command, bool) {
	reason := "the list of configurations changed"
	switch {
	case !w.current(s):
		reason = "runs image " + s.now.Image
	case w.configured(s):
		return Command{}, false
	}
	return Command{Verb: StopProvider, Stage: StageProviders, Host: s.host.ID, ID: w.c.ID, Reason: reason}, true
}

// release ends or reduces what is too much.
func (w *workload) release(s *seat, t target, hold bool) {
	if s.foreign || s.count() <= t.count {
		return
	}
	w.pending++
	if hold {
		return
	}
	c := Command{
		Verb: Scale, Stage: StageDownComponents, Host: s.host.ID, ID: w.c.ID, Image: s.now.Image, Count: uint32(t.count),
		Config: w.c.Config, Annotations: w.annotate(t),
		Reason: fmt.Sprintf("runs with %d, wanted are %d", s.now.Count, t.count),
	}
	switch {
	case w.c.Kind == manifest.KindProvider:
		c = Command{Verb: StopProvider, Stage: StageDownProviders, Host: s.host.ID, ID: w.c.ID, Reason: "is not wanted on this host"}
	case t.count == 0:
		c.Config, c.Annotations = nil, annotations(w.want.Model.Name, "", "")
	}
	w.command(c)
}
