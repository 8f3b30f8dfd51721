package scaler

import (
	"slices"
	"sort"
)

// allocation counts instances on seats for spreads. A host shows one count for a component, so an instance belongs to a
// spread only on paper: any assignment that the counts allow is as good as another, and needs no command.
type allocation struct {
	want []uint64   // by spread
	have [][]uint64 // by spread and seat
	left []uint64   // by seat: runs, but counts for no spread (yet)
	can  [][]int    // by seat: the spreads that may use it
	free []bool     // by seat: may get more
	// order of seats when all else is equal.
	order []int
}

func newAllocation(spreads, seats int) *allocation {
	a := &allocation{
		want: make([]uint64, spreads), have: make([][]uint64, spreads), left: make([]uint64, seats),
		can: make([][]int, seats), free: make([]bool, seats), order: make([]int, seats),
	}
	for i := range a.have {
		a.have[i] = make([]uint64, seats)
	}
	return a
}

func (a *allocation) total(spread int) uint64 {
	var sum uint64
	for _, n := range a.have[spread] {
		sum += n
	}
	return sum
}

func (a *allocation) on(seat int) uint64 {
	var sum uint64
	for s := range a.have {
		sum += a.have[s][seat]
	}
	return sum
}

// keep assigns what runs: to the spread it was started for as far as that needs it, the rest to any spread that may use
// it, moving others on paper where that makes room.
func (a *allocation) keep() {
	for s := range a.have {
		if a.total(s) <= a.want[s] {
			continue
		}
		kept := lower(a.have[s], a.order, a.want[s])
		for seat, n := range kept {
			a.left[seat] += a.have[s][seat] - n
		}
		a.have[s] = kept
	}
	for _, seat := range a.order {
		for a.left[seat] > 0 && a.assign(seat) {
		}
	}
}

// assign finds spreads that can take what is left on a seat; false when there are none.
func (a *allocation) assign(seat int) bool {
	type step struct{ from, via int } // the spread before, and the seat it gives up
	path := map[int]step{}
	queue := slices.Clone(a.can[seat])
	for _, s := range queue {
		path[s] = step{from: -1}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if need := a.want[s] - a.total(s); need > 0 {
			n := min(need, a.left[seat])
			for at := s; path[at].from >= 0; at = path[at].from {
				n = min(n, a.have[path[at].from][path[at].via])
			}
			first := s
			for at := s; path[at].from >= 0; at = path[at].from {
				a.have[path[at].from][path[at].via] -= n
				a.have[at][path[at].via] += n
				first = path[at].from
			}
			a.have[first][seat] += n
			a.left[seat] -= n
			return true
		}
		for via, n := range a.have[s] {
			if n == 0 {
				continue
			}
			for _, next := range a.can[via] {
				if _, seen := path[next]; !seen {
					path[next] = step{from: s, via: via}
					queue = append(queue, next)
				}
			}
		}
	}
	return false
}

// fill places what is missing on the seats with the fewest instances.
func (a *allocation) fill() {
	for s := range a.want {
		missing := a.want[s] - a.total(s)
		if missing == 0 {
			continue
		}
		var seats []int
		var counts []uint64
		for _, seat := range a.order {
			if a.free[seat] && slices.Contains(a.can[seat], s) {
				seats = append(seats, seat)
				counts = append(counts, a.on(seat))
			}
		}
		for i, n := range raise(counts, missing) {
			a.have[s][seats[i]] += n - counts[i]
		}
	}
}

// fillOnes places providers: one for each free seat at most.
func (a *allocation) fillOnes() {
	for _, seat := range a.order {
		if !a.free[seat] {
			continue
		}
		a.left[seat] = 1
		if !a.assign(seat) {
			a.left[seat] = 0
		}
	}
}

func (a *allocation) targets() []target {
	out := make([]target, len(a.left))
	for seat := range out {
		var most uint64
		for s := range a.have {
			n := a.have[s][seat]
			out[seat].count += n
			if n > most {
				most, out[seat].spread = n, s
			}
		}
	}
	return out
}

// lower takes from the highest counts until total is left; order decides who keeps one more.
func lower(counts []uint64, order []int, total uint64) []uint64 {
	sum := func(level uint64) (n uint64) {
		for _, c := range counts {
			n += min(c, level)
		}
		return n
	}
	level := largest(slices.Max(counts), func(l uint64) bool { return sum(l) <= total })
	rest := total - sum(level)
	out := make([]uint64, len(counts))
	for _, i := range order {
		out[i] = min(counts[i], level)
		if counts[i] > level && rest > 0 {
			out[i]++
			rest--
		}
	}
	return out
}

// raise adds to the lowest counts, one after another in their order; without counts nothing can be added.
func raise(counts []uint64, add uint64) []uint64 {
	if len(counts) == 0 {
		return nil
	}
	sum := func(level uint64) (n uint64) {
		for _, c := range counts {
			if c < level {
				n += level - c
			}
		}
		return n
	}
	level := largest(slices.Max(counts)+add, func(l uint64) bool { return sum(l) <= add })
	rest := add - sum(level)
	out := make([]uint64, len(counts))
	for i, c := range counts {
		out[i] = max(c, level)
		if c <= level && rest > 0 {
			out[i]++
			rest--
		}
	}
	return out
}

// largest is the greatest n up to limit for which ok holds; ok holds for 0 and changes once.
func largest(limit uint64, ok func(uint64) bool) uint64 {
	// sort.Search counts in int, which is wide enough: counts are 32 bits, and there are few of them.
	return uint64(sort.Search(int(limit)+1, func(n int) bool { return !ok(uint64(n)) })) - 1
}
