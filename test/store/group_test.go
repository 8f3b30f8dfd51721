package store

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/test/proxy"
)

const members = 3

// group is a cluster of servers, each of which reaches each other one through a proxy of their own.
type group struct {
	t       *testing.T
	servers [members]*server
	links   [members][members]*proxy.Proxy // from one to another
	asks    [members]*nats.Conn
	woken   []time.Time // when stopped servers went on
}

// newGroup starts a cluster. With storeDir its servers keep their data in the folders that it returns.
func newGroup(t *testing.T, storeDir func() string) *group {
	t.Helper()
	g := &group{t: t}
	ports := freePorts(t, 2*members) // for other servers, then for clients
	for i := range members {
		var routes []string
		for j := range members {
			if i != j {
				g.links[i][j] = proxy.New(t, fmt.Sprintf("nats://127.0.0.1:%d", ports[j]))
				routes = append(routes, g.links[i][j].URL())
			}
		}
		options := natsd.Options{ServerName: fmt.Sprint("n", i), Port: ports[members+i], SyncAlways: true,
			Cluster: &natsd.Cluster{Name: "test", Port: ports[i], Routes: routes}}
		if storeDir != nil {
			options.StoreDir = storeDir()
		}
		g.servers[i] = newServer(t, options)
	}
	for i, s := range g.servers {
		s.start()
		g.asks[i] = connect(t, s.url())
	}
	return g
}

// replicas opens a store on each server.
func (g *group) replicas() (out []*replica) {
	for _, s := range g.servers {
		out = append(out, openReplica(g.t, s.url(), func(c *store.Config) { c.Replicas = members }))
	}
	return out
}

// leader waits until some server knows the leader of the stream, and returns its number.
func (g *group) leader() (leader int) {
	g.t.Helper()
	eventually(g.t, "the stream has a leader", func() bool {
		for i, conn := range g.asks {
			if leader = g.leaderBy(conn); leader >= 0 && leader == i { // a leader knows best
				return true
			}
		}
		return false
	})
	return leader
}

// leaderBy asks one server; -1 means that it does not know.
func (g *group) leaderBy(conn *nats.Conn) int {
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Second))
	if err != nil {
		return -1
	}
	stream, err := js.Stream(g.t.Context(), store.DefaultStream)
	if err != nil || stream.CachedInfo().Cluster == nil {
		return -1
	}
	for i, s := range g.servers {
		if s.options.ServerName == stream.CachedInfo().Cluster.Leader {
			return i
		}
	}
	return -1
}

// wake lets a stopped server go on.
func (g *group) wake(who int) {
	g.woken = append(g.woken, time.Now())
	g.servers[who].signal(syscall.SIGCONT)
}

// isolate parts one server from the others: nothing that they say to each other arrives, and nobody is told.
func (g *group) isolate(who int) {
	for other := range members {
		if other != who {
			g.links[who][other].Silence()
			g.links[other][who].Silence()
		}
	}
}

// flap ends all connections between one server and the others; they come back at once.
func (g *group) flap(who int) {
	for other := range members {
		if other != who {
			g.links[who][other].Cut()
			g.links[other][who].Cut()
		}
	}
}

func (g *group) heal(who int) {
	for other := range members {
		if other != who {
			for _, link := range []*proxy.Proxy{g.links[who][other], g.links[other][who]} {
				link.Restore()
				link.Cut() // what was said is lost: the streams can't go on
			}
		}
	}
}
