package rotation

import (
	"maps"
	"sync"
	"time"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// asked is what outcomes are about, whatever the host.
type asked struct {
	namespace, application, component string
	reference                         secrets.Reference
}

func (a Application) asks(w Wanted) asked {
	return asked{a.Namespace, a.Name, w.Component, w.Reference}
}

func (a Application) place(w Wanted, host string) Place {
	return Place{a.Namespace, a.Name, w.ID, host}
}

// known is what came of the last requests of one host.
type known struct {
	given, refused *noted
}

type noted struct {
	secrets.Outcome
	// arrived is when it was heard of here.
	arrived time.Time
	// used is when it last counted for a status.
	used time.Time
}

// denied says whether the last request was refused.
func (k known) denied() bool {
	return k.refused != nil && (k.given == nil || k.refused.Time.After(k.given.Time))
}

// book holds the outcomes of a lattice as they are told. It is safe for concurrent use.
type book struct {
	now func() time.Time

	mu     sync.Mutex
	synced bool
	of     map[asked]map[string]known
}

func newBook(now func() time.Time) *book { return &book{now: now, of: map[asked]map[string]known{}} }

func (b *book) watch() secrets.OutcomeWatch {
	return secrets.OutcomeWatch{Reset: b.reset, Noted: b.note, Synced: b.complete}
}

func (b *book) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.synced, b.of = false, map[asked]map[string]known{}
}

func (b *book) complete() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.synced = true
}

func (b *book) note(o secrets.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := asked{o.Namespace, o.Application, o.Component, o.Reference}
	if b.of[key] == nil {
		b.of[key] = map[string]known{}
	}
	k, now := b.of[key][o.Host], b.now()
	if n := (&noted{o, now, now}); o.Given() {
		k.given = n
	} else {
		k.refused = n
	}
	b.of[key][o.Host] = k
}

// hosts returns what came of the requests of each host.
func (b *book) hosts(key asked) map[string]known {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.of[key])
}

func (b *book) isSynced() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.synced
}

// use notes that what is known of some hosts counts still.
func (b *book) use(key asked, hosts []oam.SecretHost) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for _, h := range hosts {
		k := b.of[key][h.HostID]
		for _, n := range []*noted{k.given, k.refused} {
			if n != nil {
				n.used = now
			}
		}
	}
}

// drop takes out what has counted for nothing for a time, and returns it.
func (b *book) drop(idle time.Duration) (out []secrets.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	since := b.now().Add(-idle)
	for key, hosts := range b.of {
		for host, k := range hosts {
			for _, n := range []**noted{&k.given, &k.refused} {
				if *n != nil && (*n).used.Before(since) {
					out = append(out, (*n).Outcome)
					*n = nil
				}
			}
			if hosts[host] = k; k == (known{}) {
				delete(hosts, host)
			}
		}
		if len(hosts) == 0 {
			delete(b.of, key)
		}
	}
	return out
}
