package rotation

import (
	"maps"
	"time"
)

// spot is a wanted secret on a host.
type spot struct {
	asked
	host string
}

// lags measures how long new values take to arrive.
type lags struct {
	// since is when the version that a spot lacks came to be.
	since map[spot]Version
}

// lacks notes that a host was given another version than the Secret has.
func (l *lags) lacks(s spot, now Version) { l.since[s] = now }

// has says how long a version took that was lacking before; false if none was.
func (l *lags) has(s spot, given *noted) (time.Duration, bool) {
	lacked, late := l.since[s]
	if !late || given == nil || lacked.ResourceVersion != given.Version {
		return 0, false
	}
	delete(l.since, s)
	return given.Time.Sub(lacked.Changed), true
}

// keep forgets spots that are no more.
func (l *lags) keep(there map[spot]bool) {
	maps.DeleteFunc(l.since, func(s spot, _ Version) bool { return !there[s] })
}
