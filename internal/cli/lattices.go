package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/ledger"
)

// latticeLink is what a process holds open for one lattice: a connection to its account, and its ledger.
type latticeLink struct {
	conn   *nats.Conn
	ledger *ledger.Ledger
	// domain is the JetStream domain of the lattice's buckets.
	domain string
	// doubt says why NATS may let others ask for secrets in the name of a host group; nil where it is not known to hold them.
	doubt func() string
}

// groupsDoubt says, whenever it is asked, why no host group of the lattice is believed; empty if each is.
func (l *latticeLink) groupsDoubt() string {
	if l.doubt == nil {
		return doubtForeign
	}
	return l.doubt()
}

// connector opens a connection to the account of a lattice: a link without a ledger.
type connector func(ctx context.Context, lattice string) (*latticeLink, error)

// lattices holds the links of all lattices that were asked for, each opened once.
type lattices struct {
	connect connector
	cluster string

	mu   sync.Mutex
	open map[string]*latticeLink
}

func newLattices(cluster string, connect connector) *lattices {
	return &lattices{connect: connect, cluster: cluster, open: map[string]*latticeLink{}}
}

// link returns the link of a lattice and opens it if need be. A failure is not kept: the next call tries again.
func (l *lattices) link(ctx context.Context, lattice string) (*latticeLink, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.open[lattice]; known != nil {
		return known, nil
	}
	opened, err := l.connect(ctx, lattice)
	if err != nil {
		return nil, fmt.Errorf("connect to the NATS account of lattice %q: %w", lattice, err)
	}
	if opened.ledger, err = ledger.Open(ctx, opened.conn, lattice, opened.domain); err != nil {
		opened.conn.Close()
		return nil, fmt.Errorf("open the ledger of lattice %q: %w", lattice, err)
	}
	l.open[lattice] = opened
	return opened, nil
}

// names are the lattices that have a link.
func (l *lattices) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.open))
}

// close closes every connection.
func (l *lattices) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, link := range l.open {
		link.conn.Close()
	}
	l.open = map[string]*latticeLink{}
}
