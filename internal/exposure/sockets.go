package exposure

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// socket is a port of a host: only one program can listen on it.
type socket struct {
	host   string
	number uint16
	udp    bool
}

// socketsOf returns what an application's providers want to listen on, and for which provider. Whether anybody is behind
// it does not matter: the port is taken.
func socketsOf(ports []port, view View) map[socket]string {
	out := map[socket]string{}
	for _, p := range ports {
		if p.closed {
			continue
		}
		for _, h := range view.Hosts(p.provider) {
			out[socket{h.ID, p.number, p.protocol == corev1.ProtocolUDP}] = p.provider
		}
	}
	return out
}

// sockets remembers which application wants which port of which host. The first that came keeps it.
type sockets struct {
	mu     sync.Mutex
	claims map[socket][]claim
	of     map[types.NamespacedName]map[socket]string
}

type claim struct {
	application types.NamespacedName
	provider    string
	// proven: it was an endpoint before this process started.
	proven bool
}

// clash is a socket that an application shares with others.
type clash struct {
	socket
	// lost says that another one came first.
	lost   bool
	others []types.NamespacedName
}

func newSockets() *sockets {
	return &sockets{claims: map[socket][]claim{}, of: map[types.NamespacedName]map[socket]string{}}
}

// claim records what an application wants instead of what it wanted before, and returns the others for which something
// changed by that.
func (s *sockets) claim(key types.NamespacedName, wanted map[socket]string, proven map[socket]bool) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := map[types.NamespacedName]bool{}
	touch := func(at socket) {
		for _, c := range s.claims[at] {
			if c.application != key {
				touched[c.application] = true
			}
		}
	}
	for at, provider := range s.of[key] {
		if wanted[at] != provider {
			s.claims[at] = slices.DeleteFunc(s.claims[at], func(c claim) bool { return c.application == key })
			touch(at)
			if len(s.claims[at]) == 0 {
				delete(s.claims, at)
			}
		}
	}
	for at, provider := range wanted {
		if s.of[key][at] == provider {
			continue
		}
		touch(at)
		s.claims[at] = append(s.claims[at], claim{key, provider, proven[at]})
		slices.SortStableFunc(s.claims[at], func(a, b claim) int { return cmp.Compare(rank(a), rank(b)) })
	}
	s.of[key] = maps.Clone(wanted)
	if len(wanted) == 0 {
		delete(s.of, key)
	}
	return slices.Collect(maps.Keys(touched))
}

func rank(c claim) int {
	if c.proven {
		return 0
	}
	return 1
}

// clashes returns what an application shares with others, in a fixed order. One provider for several applications is
// no clash.
func (s *sockets) clashes(key types.NamespacedName) []clash {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []clash
	for at, provider := range s.of[key] {
		found := clash{socket: at}
		mine := false
		for _, c := range s.claims[at] {
			switch {
			case c.application == key:
				mine = true
			case c.provider != provider:
				found.others = append(found.others, c.application)
				found.lost = found.lost || !mine
			}
		}
		if len(found.others) > 0 {
			out = append(out, found)
		}
	}
	slices.SortFunc(out, func(a, b clash) int { return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.host, b.host)) })
	return out
}

func lostTo(clashes []clash) map[socket]bool {
	out := map[socket]bool{}
	for _, c := range clashes {
		out[c.socket] = c.lost
	}
	return out
}
