package rotation

import (
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	// firstPause follows the first try; it doubles up to longestPause.
	firstPause   = 15 * time.Second
	longestPause = 10 * time.Minute
	// settle is the least time between two tries for one place, however often its Secrets change.
	settle = 5 * time.Second
	// unknownPause is how long a host may take until it is noted what it was given.
	unknownPause = time.Minute
	// restartWait is how long one place of an application may take until the next one's turn has come.
	restartWait = time.Minute

	refreshesPerSecond = 20
	restartsPerSecond  = 0.5
)

// need is a place whose secrets must be fetched again.
type need struct {
	// target tells one change from another.
	target string
	// restart: by the command that started it, as the policy wants.
	restart bool
	// unknown: nothing says that there is anything new.
	unknown bool
}

// try is what was done for a place.
type try struct {
	target string
	times  int
	last   time.Time
	next   time.Time
	// restarted is when it was restarted first for the target; zero if it was not.
	restarted time.Time
}

// pace bounds how often hosts are disturbed: growing pauses for each place, one restart at a time in an application, and so
// many a second in the lattice.
type pace struct {
	refreshes, restarts *rate.Limiter
	tries               map[Place]*try
}

func newPace() *pace {
	return &pace{
		refreshes: rate.NewLimiter(refreshesPerSecond, refreshesPerSecond), restarts: rate.NewLimiter(restartsPerSecond, 1), tries: map[Place]*try{},
	}
}

// step is something to do now.
type step struct {
	Place
	restart bool
}

// due chooses what is done now of what is needed. there are the places where something runs, unable hosts that can't fetch
// without a restart.
func (p *pace) due(needs map[Place]need, there map[Place]bool, unable map[string]bool, now time.Time) (steps []step) {
	maps.DeleteFunc(p.tries, func(k Place, t *try) bool {
		_, needed := needs[k]
		return !needed && (there[k] || now.Sub(t.restarted) >= restartWait) // what was stopped has its time to come back
	})
	for _, place := range slices.SortedFunc(maps.Keys(needs), comparePlaces) {
		n := needs[place]
		t := p.tryOf(place, n, now)
		restart := n.restart || unable[place.Host]
		if now.Before(t.next) || restart && n.unknown || !p.mayGo(place, restart, now) {
			continue
		}
		t.times++
		t.last, t.next = now, now.Add(pauseAfter(t.times))
		if restart && t.restarted.IsZero() {
			t.restarted = now
		}
		steps = append(steps, step{place, restart})
	}
	return steps
}

func (p *pace) tryOf(place Place, n need, now time.Time) *try {
	t := p.tries[place]
	switch {
	case t == nil:
		t = &try{target: n.target, next: now}
		if n.unknown {
			t.next = now.Add(unknownPause)
		}
		p.tries[place] = t
	case t.target != n.target:
		t.target, t.times, t.next, t.restarted = n.target, 0, t.last.Add(settle), time.Time{}
	}
	return t
}

func (p *pace) mayGo(place Place, restart bool, now time.Time) bool {
	if !restart {
		return p.refreshes.AllowN(now, 1)
	}
	for other, t := range p.tries {
		if other != place && other.Namespace == place.Namespace && other.Application == place.Application && now.Sub(t.restarted) < restartWait {
			return false
		}
	}
	return p.restarts.AllowN(now, 1)
}

// again lets a place have its turn at once, in another way.
func (p *pace) again(place Place) {
	if t := p.tries[place]; t != nil {
		t.times, t.next = max(t.times-1, 0), time.Time{}
	}
}

func pauseAfter(times int) time.Duration {
	if times > 6 {
		return longestPause
	}
	return min(longestPause, firstPause<<(times-1))
}

func comparePlaces(a, b Place) int {
	return slices.CompareFunc([]string{a.Namespace, a.Application, a.ID, a.Host}, []string{b.Namespace, b.Application, b.ID, b.Host}, strings.Compare)
}
