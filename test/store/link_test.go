package store

import (
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/test/proxy"
)

// TestLink: the connection between a replica and the server breaks during writes, in each of the ways it can, and now and
// then the server dies while it is broken. What was refused never arrives, what was acknowledged stays, and the rest is
// resolved by reading it back. (What a single lost publish or acknowledgement is answered: internal/store.)
func TestLink(t *testing.T) {
	chance := newChance(t)
	s := newServer(t, natsd.Options{SyncAlways: true})
	s.start()
	links := []*proxy.Proxy{proxy.New(t, s.url()), proxy.New(t, s.url())}
	var replicas []*replica
	for _, link := range links {
		replicas = append(replicas, openReplica(t, link.URL(), func(c *store.Config) { c.Timeout = time.Second }))
	}
	l := startLoad(t, chance, replicas...)
	cuts := times(10, 60)
	for i := range cuts {
		l.progress("before a cut")
		time.Sleep(between(chance, 0, 200*time.Millisecond))
		link := links[chance.IntN(len(links))]
		switch i % 4 {
		case 0: // acknowledgements are lost
			link.MuteServer.Store(true)
		case 1: // publishes are lost
			link.MuteClient.Store(true)
		case 2: // the link stays away
			link.Refuse.Store(true)
			link.Cut()
		}
		time.Sleep(between(chance, 0, 300*time.Millisecond))
		if chance.IntN(3) == 0 {
			s.kill()
			s.start()
		}
		link.Cut()
		link.Restore()
		l.progress("after a cut")
	}
	l.finish()
	result := l.check(s.url())
	checkFresh(t, l.writes, l.lists)
	report(t, "%d cuts: %s", cuts, result)
}
