package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/ledger"
)

// ledger adds the claims and the home namespace that a lattice lacks. Teardown records stay in the backup: what was to be
// stopped then may be what somebody wants now, and a restored store must not empty a lattice.
func (r *restoring) ledger(ctx context.Context, b *bench, links *storeLinks, lattice string) error {
	conn := links.lattices[lattice]
	if conn == nil {
		fmt.Fprintf(r.out, "passed over: the ledger of lattice %s, which is not configured here\n", lattice)
		return nil
	}
	if _, err := ledger.Open(ctx, conn, lattice, links.domain); err != nil {
		return err
	}
	from, err := bucket(ctx, b.conn, "", lattice)
	if err != nil {
		return err
	}
	into, err := bucket(ctx, conn, links.domain, lattice)
	if err != nil {
		return err
	}
	added, left, err := copyMissing(ctx, from, into)
	if err != nil {
		return fmt.Errorf("restore the ledger of lattice %s: %w", lattice, err)
	}
	fmt.Fprintf(r.out, "ledger of lattice %s: %d entries added, %d teardown records left out\n", lattice, added, left)
	return nil
}

func bucket(ctx context.Context, conn *nats.Conn, domain, lattice string) (jetstream.KeyValue, error) {
	js, err := jetstream.New(conn)
	if domain != "" {
		js, err = jetstream.NewWithDomain(conn, domain)
	}
	if err != nil {
		return nil, err
	}
	kv, err := js.KeyValue(ctx, ledger.Bucket(lattice))
	if err != nil {
		return nil, fmt.Errorf("open the ledger of lattice %s: %w", lattice, err)
	}
	return kv, nil
}

func copyMissing(ctx context.Context, from, into jetstream.KeyValue) (added, left int, err error) {
	keys, err := from.Keys(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return 0, 0, err
	}
	for _, key := range keys {
		if strings.HasPrefix(key, ledger.TeardownPrefix) {
			left++
			continue
		}
		entry, err := from.Get(ctx, key)
		if err == nil {
			_, err = into.Create(ctx, key, entry.Value())
		}
		switch {
		case errors.Is(err, jetstream.ErrKeyExists): // what is there now is newer
		case err != nil:
			return added, left, fmt.Errorf("%s: %w", key, err)
		default:
			added++
		}
	}
	return added, left, nil
}
