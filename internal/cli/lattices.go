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
}

// connector opens a connection to the account of a lattice.
type connector func(ctx context.Context, lattice string) (conn *nats.Conn, domain string, err error)

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
	conn, domain, err := l.connect(ctx, lattice)
	if err != nil {
		return nil, fmt.Errorf("connect to the NATS account of lattice %q: %w", lattice, err)
	}
	book, err := ledger.Open(ctx, conn, lattice, domain)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open the ledger of lattice %q: %w", lattice, err)
	}
	opened := &latticeLink{conn: conn, ledger: book, domain: domain}
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
