package scaler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/internal/manifest"
)

// drainsShown is how many hosts a message names.
const drainsShown = 3

// leaves notes what runs on a host that drains: it ends when the whole application has what it wants elsewhere.
func (w *workload) leaves(s *seat) {
	if s.foreign || s.now.Count == 0 {
		return
	}
	if !slices.Contains(w.out.Leaving, s.host.ID) {
		w.out.Leaving = append(w.out.Leaving, s.host.ID)
	}
	c := Command{
		Verb: Scale, Stage: StageDownComponents, Host: s.host.ID, ID: w.c.ID, Image: s.now.Image,
		Annotations: annotations(w.want.Model.Name, "", ""), Reason: "the host drains, and others have taken its share",
	}
	if w.c.Kind == manifest.KindProvider {
		c.Verb, c.Stage, c.Image, c.Annotations = StopProvider, StageDownProviders, "", nil
	}
	w.leaving = append(w.leaving, c)
}

// leave ends what runs on hosts that drain, providers first: a server that still takes requests must find its component.
func (p *planner) leave() {
	slices.Sort(p.out.Leaving)
	p.out.Replaced = p.ups == 0
	if !p.out.Replaced || p.want.MayLeave == nil {
		return
	}
	for _, host := range p.out.Leaving {
		if !p.want.MayLeave(host) {
			continue
		}
		here := slices.DeleteFunc(slices.Clone(p.leaving), func(c Command) bool { return c.Host != host })
		if slices.ContainsFunc(here, isStop) {
			here = slices.DeleteFunc(here, func(c Command) bool { return !isStop(c) })
		}
		p.out.Commands = append(p.out.Commands, here...)
	}
	p.sort()
}

func isStop(c Command) bool { return c.Verb == StopProvider }

// ending names hosts that would do for a spread if they did not drain.
func (w *workload) ending(sp manifest.Spread) string {
	var names []string
	for _, id := range w.drains {
		if sp.Matches(w.seen.hosts[id].Labels) {
			names = append(names, id)
		}
	}
	if len(names) == 0 {
		return ""
	}
	more := ""
	if n := len(names) - drainsShown; n > 0 {
		names, more = names[:drainsShown], fmt.Sprintf(" and %d more", n)
	}
	return " About to end, and taking nothing new: " + strings.Join(names, ", ") + more + "."
}
