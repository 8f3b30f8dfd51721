package store

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// trouble is one way to disturb a cluster under load. It ends when all is whole again.
type trouble struct {
	name string
	make func(g *group, l *load, chance *rand.Rand)
}

// hold is how long a leader is parted from the others. In the long form nats-server notices meanwhile, which takes it up
// to 20 seconds; in the short one the others have elected a new leader.
func hold() time.Duration { return time.Duration(times(12, 25)) * time.Second }

var troubles = []trouble{
	{"the leader is killed", func(g *group, l *load, _ *rand.Rand) {
		leader := g.leader()
		g.servers[leader].kill()
		l.progressOf("while the leader is away", others(leader)...)
		g.servers[leader].start()
	}},
	{"the leader is parted from the others", func(g *group, l *load, _ *rand.Rand) {
		leader := g.leader()
		g.isolate(leader)
		began := time.Now()
		l.progressOf("while the leader is parted", others(leader)...)
		time.Sleep(hold() - time.Since(began)) // what is read through the deposed leader meanwhile is what is measured
		g.heal(leader)
	}},
	{"the leader is stopped", func(g *group, l *load, chance *rand.Rand) {
		leader := g.leader()
		g.servers[leader].signal(syscall.SIGSTOP)
		l.progressOf("while the leader is stopped", others(leader)...)
		time.Sleep(between(chance, 0, 2*time.Second))
		g.wake(leader)
	}},
	{"two are killed", func(g *group, l *load, chance *rand.Rand) {
		rest := chance.IntN(members)
		for _, i := range others(rest) {
			g.servers[i].kill()
		}
		before := l.total()
		time.Sleep(between(chance, time.Second, 3*time.Second))
		if after := l.total(); after > before {
			g.t.Errorf("%d writes were acknowledged by one server of three", after-before)
		}
		for _, i := range others(rest) {
			g.servers[i].start()
		}
	}},
	{"the connections between one and the others are cut", func(g *group, l *load, chance *rand.Rand) {
		for range 3 {
			g.flap(chance.IntN(members))
			time.Sleep(between(chance, 0, 500*time.Millisecond))
		}
	}},
	{"a follower is parted from the others", func(g *group, l *load, chance *rand.Rand) {
		follower := others(g.leader())[chance.IntN(members-1)]
		g.isolate(follower)
		l.progressOf("while a follower is parted", others(follower)...)
		time.Sleep(between(chance, 0, 12*time.Second))
		g.heal(follower)
	}},
	{"two are stopped", func(g *group, l *load, chance *rand.Rand) {
		rest := chance.IntN(members)
		for _, i := range others(rest) {
			g.servers[i].signal(syscall.SIGSTOP)
		}
		time.Sleep(between(chance, time.Second, 12*time.Second))
		for _, i := range others(rest) {
			g.wake(i)
		}
	}},
	{"the leader is killed twice", func(g *group, l *load, chance *rand.Rand) {
		first := g.leader()
		g.servers[first].kill()
		l.progressOf("while the first leader is away", others(first)...)
		second := g.leader()
		g.servers[second].kill()
		time.Sleep(between(chance, 0, 2*time.Second))
		g.servers[first].start()
		g.servers[second].start()
	}},
}

func others(than int) (out []int) {
	for i := range members {
		if i != than {
			out = append(out, i)
		}
	}
	return out
}

// TestCluster: a replicated stream goes through killed, stopped and parted servers under a write load. Writes are
// linearizable, watches gapless, and no replica goes back behind what it has served.
func TestCluster(t *testing.T) {
	chance := newChance(t)
	g := newGroup(t, nil)
	l := startLoad(t, chance, g.replicas()...)
	rounds := times(4, 4*len(troubles))
	for round := range rounds {
		what := troubles[round%len(troubles)]
		l.progress("before " + what.name)
		time.Sleep(between(chance, 0, 500*time.Millisecond))
		began := time.Now()
		what.make(g, l, chance)
		healed := time.Now()
		l.progress("after " + what.name)
		report(t, "at %s %s: whole again after %s, all 16 writers %s later", clock(began), what.name,
			healed.Sub(began).Round(time.Millisecond), time.Since(healed).Round(time.Millisecond))
	}
	l.finish()
	result := l.check(g.servers[0].url())
	judged := checkLinear(t, l.writes)
	checkForward(t, l.lists)
	if result.unknown == 0 {
		t.Error("no write was under way at any trouble: they have proved nothing")
	}
	asleep, others := apart(l.lists, g.woken)
	report(t, "%d troubles: %s; porcupine judged %d writes; %s; about when a stopped server went on %s",
		rounds, result, judged, behind(l.writes, others), behind(l.writes, asleep))
	if b := behind(l.writes, others); 100*b.lists > b.of {
		t.Errorf("more than one of a hundred: %s", b)
	}
}
