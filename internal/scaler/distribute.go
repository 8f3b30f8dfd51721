package scaler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// distribute decides what should run on each seat.
func (w *workload) distribute(seats []seat) []target {
	if w.c.Scaler.Daemon {
		return w.everywhere(seats)
	}
	a := w.allocation(seats)
	a.keep()
	if w.c.Kind == manifest.KindProvider {
		a.fillOnes()
	} else {
		a.fill()
	}
	for i, sp := range w.c.Scaler.Spreads {
		if got := a.total(i); got < uint64(sp.Instances) {
			w.unsatisfied(sp, got)
		}
	}
	return a.targets()
}

// everywhere is what a daemon scaler wants: its number on each matching host, once even where several spreads match.
func (w *workload) everywhere(seats []seat) []target {
	out := make([]target, len(seats))
	matched := make([]bool, len(w.c.Scaler.Spreads))
	for i, s := range seats {
		for _, sp := range s.spreads {
			matched[sp] = true
		}
		if len(s.spreads) == 0 {
			continue
		}
		t := target{spread: s.spreads[0]}
		if label := w.labelled(&s); slices.Contains(s.spreads, label) {
			t.spread = label
		}
		t.count = uint64(w.c.Scaler.Spreads[t.spread].Instances)
		if t.count > 0 && w.taken(&s) {
			w.need("Host %s runs %s already, started by someone else; stop it there first.", s.host.ID, w.c.ID)
			t.count = 0
		}
		out[i] = t
	}
	for i, sp := range w.c.Scaler.Spreads {
		if !matched[i] && sp.Instances > 0 {
			w.need("Could not satisfy daemonscaler %s for %s, 0 eligible hosts found.%s%s", sp.Name, w.c.Image, hint(sp), w.ending(sp))
		}
	}
	return out
}

// labelled is the spread that an instance was started for, or -1.
func (w *workload) labelled(s *seat) int {
	name := s.now.Annotations[lattice.AnnotationSpread]
	return slices.IndexFunc(w.c.Scaler.Spreads, func(sp manifest.Spread) bool { return sp.Name == name })
}

func (w *workload) allocation(seats []seat) *allocation {
	a := newAllocation(len(w.c.Scaler.Spreads), len(seats))
	for i, sp := range w.c.Scaler.Spreads {
		a.want[i] = uint64(sp.Instances)
	}
	for i := range seats {
		s := &seats[i]
		a.can[i] = s.spreads
		a.order[i] = i
		switch {
		case !s.foreign:
			a.free[i] = s.now.Count == 0 || w.c.Kind == manifest.KindComponent
		case w.taken(s):
			if len(s.spreads) > 0 {
				w.note = fmt.Sprintf(" Host %s runs %s already, started by someone else; stop it there first.", s.host.ID, w.c.ID)
			}
			continue
		}
		if label := w.labelled(s); slices.Contains(s.spreads, label) {
			a.have[label][i] = s.count()
		} else {
			a.left[i] = s.count()
		}
	}
	w.sort(a.order, seats)
	return a
}

// slack is how much that a host was told to run does not count as its load yet. A plan that changes its mind because of a few
// commands under way scatters what a small lattice runs.
const slack = 8

// sort orders seats by how soon they are taken. What it compares is looked up once for each: there may be thousands.
func (w *workload) sort(order []int, seats []seat) {
	type rank struct{ theirs, underway, load int }
	ranks := make([]rank, len(seats))
	for i := range seats {
		s := &seats[i]
		// A provider of someone else serves as well and cannot be stopped: it counts first.
		ranks[i] = rank{theirs: boolToInt(!s.foreign), underway: boolToInt(!w.underway(s)), load: s.host.load() + max(0, w.want.Load[s.host.ID]-slack)}
	}
	slices.SortStableFunc(order, func(x, y int) int {
		a, b := ranks[x], ranks[y]
		return cmp.Or(cmp.Compare(a.theirs, b.theirs), cmp.Compare(a.underway, b.underway), cmp.Compare(a.load, b.load))
	})
}

func (w *workload) underway(s *seat) bool {
	return w.want.Underway != nil && w.want.Underway(s.host.ID, w.c.ID)
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// taken says that a host has the id from someone else, and not so that it would serve. A provider of someone else with
// the wanted image does.
func (w *workload) taken(s *seat) bool {
	return s.foreign && (w.c.Kind == manifest.KindComponent || !w.current(s))
}

func (w *workload) unsatisfied(sp manifest.Spread, got uint64) {
	found, of := uint64(0), uint64(1)
	if w.c.Kind == manifest.KindProvider {
		found, of = got, uint64(sp.Instances)
	}
	w.need("Could not satisfy spread %s for %s, %d/%d eligible hosts found.%s%s%s", sp.Name, w.c.Image, found, of, hint(sp), w.note, w.ending(sp))
}

// hint says what would help.
func hint(sp manifest.Spread) string {
	if len(sp.Requirements) == 0 {
		return " Start a host in this lattice."
	}
	return fmt.Sprintf(" Start a host with labels %s, or change the requirements.", labels(sp))
}

// labels are those that a spread requires.
func labels(sp manifest.Spread) string {
	texts := make([]string, 0, len(sp.Requirements))
	for k, v := range sp.Requirements {
		texts = append(texts, k+"="+v)
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}
