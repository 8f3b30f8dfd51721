package scaler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

func (p *planner) component(c *manifest.Component) {
	switch {
	case c.Shared != nil:
		p.shared(c)
	case c.Scaler == nil:
		p.unscaled(c)
	default:
		w := &workload{planner: p, c: c, state: ComponentState{Name: c.Name, ID: c.ID, Kind: c.Kind, Image: c.Image}}
		w.plan()
		p.out.Components = append(p.out.Components, w.state)
	}
}

// shared shows where the component of another application runs; nothing is started or stopped for it here.
func (p *planner) shared(c *manifest.Component) {
	s := ComponentState{Name: c.Name, ID: c.ID, Kind: c.Kind}
	s.Hosts = p.placements(c.ID, c.Kind)
	for _, h := range s.Hosts {
		s.Running += uint64(h.Instances)
	}
	s.Desired, s.Ready = s.Running, s.Running > 0
	if !s.Ready {
		// The other application may come later; that is no failure of this one, but it is not complete without it.
		p.ups++
		s.Message = fmt.Sprintf("component %s of application %s does not run in this lattice", c.Shared.Component, c.Shared.Application)
	}
	p.out.Components = append(p.out.Components, s)
}

// unscaled: a component without a scaler is not started.
func (p *planner) unscaled(c *manifest.Component) {
	p.out.Components = append(p.out.Components, ComponentState{
		Name: c.Name, ID: c.ID, Kind: c.Kind, Image: c.Image, Ready: true,
		Message: "has no scaler and is not started; add a trait spreadscaler or daemonscaler",
	})
}

func (p *planner) placements(id string, kind manifest.Kind) []Placement {
	var out []Placement
	for _, h := range p.seen.placesOf(id) {
		if i, ok := instances(h, kind)[id]; ok {
			out = append(out, Placement{Host: h.ID, Name: h.Name, Instances: i.Count})
		}
	}
	return out
}

func instances(h *Host, kind manifest.Kind) map[string]Instance {
	if kind == manifest.KindProvider {
		return h.Providers
	}
	return h.Components
}

// workload is a component or provider with a scaler, while it is planned.
type workload struct {
	*planner
	c     *manifest.Component
	state ComponentState
	// needs are messages about instances that cannot be placed; note is added to them.
	needs []string
	note  string
	// pending counts places that must change before the workload is as wanted.
	pending int
	// drains are hosts that would be places if they were not about to end.
	drains []string
}

func (w *workload) plan() {
	if !w.asWanted() {
		w.place()
	}
}

// asWanted says whether the workload runs as wanted, by the hosts that run it alone, and then fills in its state. Most
// plans are of applications of which nothing is missing, and a lattice may have thousands of hosts.
func (w *workload) asWanted() bool {
	if w.c.Scaler.Daemon {
		return false // a host without it is one that lacks it
	}
	var seats []seat
	for _, h := range w.seen.placesOf(w.c.ID) {
		s := w.seat(h)
		switch {
		case s.now.Count == 0: // what has the id there is of the other kind
		case h.Draining, s.foreign, !w.current(&s), !w.configured(&s):
			return false
		default:
			seats = append(seats, s)
		}
	}
	a := w.allocation(seats)
	a.keep()
	for i := range a.want {
		if a.total(i) != a.want[i] {
			return false
		}
	}
	targets := a.targets()
	for i := range seats {
		if seats[i].count() != targets[i].count {
			return false
		}
	}
	w.count(seats, targets)
	w.state.Ready = true
	return true
}

// place decides what should run where, and commands it.
func (w *workload) place() {
	seats := w.seats()
	targets := w.distribute(seats)
	w.count(seats, targets)
	blocked := w.missing(w.c.Config)
	acted := make([]bool, len(seats))
	for i := range seats {
		acted[i] = w.fill(&seats[i], targets[i], blocked != "")
	}
	// New before old: what is too much stays while something is missing. Hosts of a daemon do not stand in for each other.
	hold := !w.c.Scaler.Daemon && (w.pending > 0 || len(w.needs) > 0)
	for i := range seats {
		switch s := &seats[i]; {
		case s.host.Draining:
			w.leaves(s)
		case !acted[i]:
			w.release(s, targets[i], hold)
		}
	}
	w.state.Ready = w.pending == 0 && len(w.needs) == 0
	switch {
	case w.state.Ready:
	case blocked != "":
		w.state.Message = blocked
	case len(w.needs) > 0:
		w.state.Message = strings.Join(w.needs, " ")
	case w.c.Kind == manifest.KindProvider:
		w.state.Message = fmt.Sprintf("Scaling provider on %d host(s)", w.pending)
	default:
		w.state.Message = fmt.Sprintf("Scaling component on %d host(s)", w.pending)
	}
	if !w.state.Ready {
		w.ups++
	}
}

// seat is a host as a place for the workload.
type seat struct {
	host *Host
	// now is what runs here; Count 0: nothing.
	now Instance
	// foreign: what runs here was not started for this application. It is never touched, and takes the id on this host.
	foreign bool
	// spreads that may use the host.
	spreads []int
}

func (s *seat) count() uint64 { return uint64(s.now.Count) }

// seats lists hosts that are eligible for a spread or have the id already.
func (w *workload) seats() []seat {
	var out []seat
	for _, id := range w.seen.order {
		h := w.seen.hosts[id]
		if s := w.seat(h); len(s.spreads) > 0 || s.now.Count > 0 {
			out = append(out, s)
		}
		if h.Draining {
			w.drains = append(w.drains, id)
		}
	}
	return out
}

func (w *workload) seat(h *Host) seat {
	s := seat{host: h, now: instances(h, w.c.Kind)[w.c.ID]}
	for i, sp := range w.c.Scaler.Spreads {
		if sp.Matches(h.Labels) && !h.Draining {
			s.spreads = append(s.spreads, i)
		}
	}
	s.foreign = s.now.Count > 0 && s.now.Application() != w.want.Model.Name
	return s
}

// count fills in what the status says.
func (w *workload) count(seats []seat, targets []target) {
	var leaving uint64
	for i, s := range seats {
		w.state.Desired += targets[i].count
		if s.now.Count == 0 || w.taken(&s) {
			continue
		}
		if s.host.Draining {
			leaving += s.count()
		} else {
			w.state.Running += s.count()
		}
		w.state.Hosts = append(w.state.Hosts, Placement{Host: s.host.ID, Name: s.host.Name, Instances: s.now.Count})
	}
	if !w.c.Scaler.Daemon {
		w.state.Desired = 0
		for _, sp := range w.c.Scaler.Spreads {
			w.state.Desired += uint64(sp.Instances)
		}
	}
	// What is about to end counts as long as it is not replaced.
	if w.state.Running < w.state.Desired {
		w.state.Running = min(w.state.Desired, w.state.Running+leaving)
	}
}

// current says whether the wanted image runs.
func (w *workload) current(s *seat) bool {
	if w.c.Kind == manifest.KindProvider {
		return lattice.NormalizeProviderRef(s.now.Image) == lattice.NormalizeProviderRef(w.c.Image)
	}
	return s.now.Image == w.c.Image
}

// configured says whether the instance was started with the wanted list of configurations. Inventories do not show the
// list; the scaler's id is made of it, among others.
func (w *workload) configured(s *seat) bool {
	got := s.now.scaler()
	if got == w.c.Scaler.ID || s.now.Accepted == w.c.Scaler.ID {
		return true
	}
	for _, image := range []string{w.c.Image, s.now.Image} {
		for _, daemon := range []bool{false, true} {
			if got == manifest.ScalerID(daemon, w.want.Model.Name, w.c.Name, w.c.ID, image, w.c.Config) {
				return true
			}
		}
	}
	return false
}

func (w *workload) annotate(t target) map[string]string {
	return annotations(w.want.Model.Name, w.c.Scaler.ID, w.c.Scaler.Spreads[t.spread].Name)
}

// why says why something is placed where it is.
func (w *workload) why(t target) string {
	sp := w.c.Scaler.Spreads[t.spread]
	hosts := "every host"
	if len(sp.Requirements) > 0 {
		hosts = "hosts with " + labels(sp)
	}
	if w.c.Scaler.Daemon {
		return fmt.Sprintf("daemonscaler %s wants %d on %s", sp.Name, sp.Instances, hosts)
	}
	if len(sp.Requirements) == 0 {
		hosts = "any host"
	}
	return fmt.Sprintf("spread %s wants %d on %s; the host with the fewest instances, then the least loaded, comes first", sp.Name, sp.Instances, hosts)
}

func (w *workload) need(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(w.needs, text) {
		w.needs = append(w.needs, text)
	}
}
