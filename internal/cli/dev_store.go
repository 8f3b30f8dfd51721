package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/internal/storemark"
)

// storeShelf is where the mark of the store is kept. That of the embedded server lies beside its data, so that whoever
// wipes the data wipes the mark: a first start. Each other server has a mark of its own.
func storeShelf(state *devState, natsURL string) *storemark.File {
	if natsURL == "" {
		return &storemark.File{Path: state.path("nats", "trellis-store.json")}
	}
	sum := sha256.Sum256([]byte(natsURL))
	return &storemark.File{Path: state.path("stores", hex.EncodeToString(sum[:8])+".json")}
}

// openStore opens the store that was served last, and ends the start where there is another one.
func (d *dev) openStore(ctx context.Context, cluster string) (err error) {
	d.guard, err = newStoreGuard(ctx, storemark.Config{
		Shelf: storeShelf(d.state, d.options.natsURL), Grace: -1, // there are no other replicas
		Told: func(problem string) {
			logr.FromContextOrDiscard(ctx).Info("The store", "problem", problem)
		},
	})
	if err != nil {
		return err
	}
	d.objects, err = store.Open(ctx, store.Config{
		Conn: d.conn, Domain: d.domain(), Cluster: cluster, WatchReady: flowcontrol.WatchInitialized, Expect: d.guard.expect,
	})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	d.parts.onStop(ctx, "store", func() error { d.objects.Close(); return nil })
	ready, cancel := context.WithTimeout(ctx, devStartTimeout)
	defer cancel()
	if err := d.objects.Ready(ready); !errors.Is(err, store.ErrStoreChanged) {
		return err
	}
	// What was found goes on record: that is what can be accepted.
	d.guard.keeper.Attach(markedStore{d.objects})
	err = d.guard.keeper.Look(ctx)
	return errors.Join(fmt.Errorf("%w; here: trellis store accept --state-dir %s%s", d.objects.Changed(), d.state.dir, d.natsFlag()), err)
}

func (d *dev) natsFlag() string {
	if d.options.natsURL == "" {
		return ""
	}
	return " --nats " + d.options.natsURL
}
