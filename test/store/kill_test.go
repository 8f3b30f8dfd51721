package store

import (
	"slices"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/natsd"
)

// TestKill: the server is killed at random points of a write load and started again where it was.
func TestKill(t *testing.T) {
	chance := newChance(t)
	s := newServer(t, natsd.Options{SyncAlways: true})
	s.start()
	l := startLoad(t, chance, openReplica(t, s.url(), nil), openReplica(t, s.url(), nil))
	kills := times(6, 50)
	var away []time.Duration
	for range kills {
		l.progress("before a kill")
		time.Sleep(between(chance, 0, 500*time.Millisecond)) // the point of the kill is random
		s.kill()
		began := time.Now()
		time.Sleep(between(chance, 0, 300*time.Millisecond))
		s.start()
		l.progress("after a kill")
		away = append(away, time.Since(began))
	}
	l.finish()
	result := l.check(s.url())
	checkFresh(t, l.writes, l.lists)
	if result.unknown == 0 {
		t.Error("no write was under way at any kill: the kills have proved nothing")
	}
	report(t, "%d kills: %s; all 16 writers had written again at most %s after a kill",
		kills, result, slices.Max(away).Round(time.Millisecond))
}
