package orchestrator

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/test/sim"
	"github.com/trellis-operator/trellis/test/sim/wire"
)

var overNATS = flag.Int("over-nats", 2, "how many of the histories to run over a NATS server")

const (
	// haste is by how much pauses are shorter where time is real, and hastyBeat how often hosts report then.
	haste     = 50
	hastyBeat = time.Second
	// beside each other so many histories run, each in a lattice of its own.
	beside = 16
	// patience is how long hosts that went silent, pauses after failures and a lease may take in real time.
	patience = 100 * time.Second
)

// TestHistoriesOverNATS runs the same histories in real time over a NATS server, with package control, and hosts of the
// simulator on connections of their own. Pauses are shorter; commands are judged as in virtual time.
func TestHistoriesOverNATS(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	began := time.Now()
	var next, ran atomic.Int64
	var all sync.WaitGroup
	for range min(beside, *overNATS) {
		all.Go(func() {
			for n := next.Add(1); n <= int64(*overNATS) && !t.Failed(); n = next.Add(1) {
				h := generate(*firstSeed + uint64(n) - 1)
				log := &journal{began: time.Now()}
				if v := tryOverNATS(t, server.ClientURL(), h, log); v != nil {
					t.Errorf("history %d over NATS: %v\n%s\n%s", h.seed, v, h, strings.Join(log.lines, "\n"))
				}
				ran.Add(1)
			}
		})
	}
	all.Wait()
	t.Logf("%d histories over NATS in %s", ran.Load(), time.Since(began).Round(time.Second))
}

func tryOverNATS(t *testing.T, url string, h history, log *journal) *violation {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	name := fmt.Sprint("history-", h.seed)
	config := simConfig(h.seed)
	config.Lattice, config.Heartbeat = name, hastyBeat
	hosts, err := wire.Start(ctx, wire.Options{URL: url, Config: config})
	if err != nil {
		t.Error(err)
		return nil
	}
	b := busOf(hosts.Lattice, hosts.Buckets(), nil, hosts.Close)
	defer b.close()
	b.wipe = b.purge
	lines := [2]*line{natsLine(t, url, name), natsLine(t, url, name)}
	x := newTrial(log.into(ctx), b, lines, log)
	x.lattice, x.haste = name, haste
	x.run(h)
	return x.court.verdict()
}

// purge loses all that the buckets hold, entry by entry: a server has no other way that hosts live through.
func (b *bus) purge() {
	for _, bucket := range []sim.Bucket{sim.DataBucket, sim.ConfigBucket} {
		for key := range b.mirror.all(bucket) {
			_ = b.buckets.Purge(bucket, key) // it fails in an outage; then it stays
		}
	}
}

func natsLine(t *testing.T, url, lattice string) *line {
	t.Helper()
	conn := mustHave(nats.Connect(url, nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond)))
	t.Cleanup(conn.Close)
	client := mustHave(control.New(conn, lattice, control.Options{Window: 300 * time.Millisecond}))
	// The connection comes back by itself; what was on its way is lost.
	return &line{Control: client, blinks: true, disconnect: func() { _ = conn.ForceReconnect() }, reconnect: func() {}}
}
