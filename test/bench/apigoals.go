package main

import "fmt"

// Goals: each says in words what it demands and whether the value meets it.

func judged(r row, holds bool, goal string) row {
	r.Goal, r.Holds = goal, &holds
	return r
}

func limit(most float64) func(row) row { return func(r row) row { return atMost(r, most) } }

func atLeast(r row, least float64) row {
	return judged(r, r.Value >= least, fmt.Sprintf(">= %g %s", least, r.Unit))
}

func atMostTimes(factor float64) func(row) row {
	return func(r row) row {
		return judged(r, r.Value <= factor*r.PeerValue, fmt.Sprintf("<= %g x peer", factor))
	}
}

func atLeastTimes(factor float64) func(row) row {
	return func(r row) row {
		return judged(r, r.Value >= factor*r.PeerValue, fmt.Sprintf(">= %g x peer", factor))
	}
}

func atMostMore(more float64) func(row) row {
	return func(r row) row {
		return judged(r, r.Value <= r.PeerValue+more, fmt.Sprintf("<= peer + %g %s", more, r.Unit))
	}
}
