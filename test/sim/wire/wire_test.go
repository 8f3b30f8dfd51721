package wire_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/test/sim"
	"github.com/trellis-operator/trellis/test/sim/wire"
)

func connect(t *testing.T, url string) *nats.Conn {
	t.Helper()
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// world is a lattice on a real server, with the real client.
func world(t *testing.T, window time.Duration, c sim.Config) (*wire.Wire, *control.Client, string) {
	t.Helper()
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	w, err := wire.Start(t.Context(), wire.Options{URL: url, Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	client, err := control.New(connect(t, url), "default", control.Options{Window: window})
	if err != nil {
		t.Fatal(err)
	}
	return w, client, url
}

func flush(t *testing.T, w *wire.Wire) {
	t.Helper()
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) { // the pace of polling
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// TestThousandHosts: one process answers for 1,000 hosts.
func TestThousandHosts(t *testing.T) {
	const n = 1000
	w, client, _ := world(t, 3*time.Second, sim.Config{CommandDelay: sim.Fixed(time.Millisecond)})
	var mu sync.Mutex
	scaled := map[string]int{}
	ctx, stop := context.WithCancel(t.Context())
	done, err := client.Events(ctx, func(e lattice.Event) {
		if c, ok := e.Data.(lattice.ComponentScaled); ok && c.MaxInstances == 3 {
			mu.Lock()
			defer mu.Unlock()
			scaled[e.Host]++
		}
	}, func(err error) { t.Errorf("events were missed: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); <-done }()
	for i := range n {
		w.Lattice.Start(sim.Host{Labels: map[string]string{"zone": fmt.Sprint(i % 3)}})
	}
	flush(t, w)
	hosts, err := client.Ping(ctx)
	if err != nil || len(hosts) != n {
		t.Fatalf("%d of %d hosts answered a ping: %v", len(hosts), n, err)
	}
	group, slots := sync.WaitGroup{}, make(chan struct{}, 64)
	for _, h := range hosts {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, err := client.ScaleComponent(ctx, lattice.ScaleComponent{ComponentID: "c", ComponentRef: "r", Count: 3, HostID: h.ID})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	until(t, "each host reports its component twice", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, h := range hosts {
			if scaled[h.ID] != 2 {
				return false
			}
		}
		return true
	})
	for _, h := range hosts {
		inv, err := client.HostInventory(ctx, h.ID)
		if err != nil || inv.HostID != h.ID || len(inv.Components) != 1 || inv.Components[0].MaxInstances != 3 {
			t.Fatalf("inventory of %s: %+v, %v", h.ID, inv, err)
		}
	}
	if got := w.Counts(); got.Commands["component.scale"] != n || got.Commands["host.get"] != n || got.Events["component_scaled"] != 2*n {
		t.Errorf("counts: %+v", got)
	}
}

// TestOverNATS: links and configurations in JetStream, deaths as the server sees them, replies above its limit.
func TestOverNATS(t *testing.T) {
	w, client, url := world(t, 200*time.Millisecond, sim.Config{})
	ctx := t.Context()
	a, b := w.Lattice.Start(sim.Host{}), w.Lattice.Start(sim.Host{})
	flush(t, w)
	js, err := jetstream.New(connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.PutConfig(ctx, "addr", lattice.Config{"address": "0.0.0.0:8080"}); err != nil {
		t.Fatal(err)
	}
	if err := client.StartProvider(ctx, lattice.StartProvider{HostID: a, ProviderID: "server", ProviderRef: "ghcr.io/acme/server:1"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the provider runs", func() bool { return w.Instances()["server"] == 1 })
	link := lattice.Link{SourceID: "server", Target: "c", Name: "default", WitNamespace: "wasi", WitPackage: "http",
		Interfaces: lattice.List[string]{"incoming-handler"}, SourceConfig: lattice.List[string]{"addr"}}
	if err := client.PutLink(ctx, link); err != nil {
		t.Fatal(err)
	}
	until(t, "the provider has the link and its configuration", func() bool {
		applied := w.Applied(a, "server")
		return len(applied) == 1 && applied[0].SourceConfig["address"] == "0.0.0.0:8080"
	})
	until(t, "hosts know the link", func() bool {
		links, err := client.Links(ctx)
		return err == nil && len(links) == 1
	})
	kv, err := js.KeyValue(ctx, "LATTICEDATA_default")
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := kv.Keys(ctx); err != nil || len(keys) != 2 || !slices.Contains(keys, "COMPONENT_server") {
		t.Errorf("keys of the data bucket: %v, %v", keys, err)
	}
	if err := client.DeleteConfig(ctx, "addr"); err != nil {
		t.Fatal(err)
	}
	if message, refused := control.Refusal(client.PutLink(ctx, link)); !refused || !strings.Contains(message, "Configuration addr not found") {
		t.Errorf("a link whose configuration is gone: %q, %v", message, refused)
	}

	w.Mute(a, true)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := client.HostInventory(short, a); !errors.Is(err, control.ErrTimeout) {
		t.Errorf("a mute host: %v", err)
	}
	w.Kill(a)
	flush(t, w)
	if _, err := client.HostInventory(ctx, a); !errors.Is(err, control.ErrNoResponders) {
		t.Errorf("a killed host: %v", err)
	}
	for i := range 4000 {
		w.PlaceComponent(b, lattice.ComponentDescription{ID: fmt.Sprint("c", i), ImageRef: strings.Repeat("x", 300)})
	}
	if _, err := client.HostInventory(ctx, b); !errors.Is(err, control.ErrTimeout) {
		t.Errorf("an inventory above the server's limit: %v", err)
	}
	w.Kill(b)
	flush(t, w)
	if _, _, err := client.GetConfig(ctx, "addr"); !errors.Is(err, control.ErrNoResponders) {
		t.Errorf("a lattice without hosts: %v", err)
	}
}

// TestBucketsReplaced: hosts go on with buckets that were deleted and made again.
func TestBucketsReplaced(t *testing.T) {
	w, client, url := world(t, 200*time.Millisecond, sim.Config{})
	ctx := t.Context()
	w.Lattice.Start(sim.Host{})
	flush(t, w)
	js, err := jetstream.New(connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"LATTICEDATA_default", "CONFIGDATA_default"} {
		if err := js.DeleteKeyValue(ctx, name); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.PutLink(ctx, lattice.Link{SourceID: "s", Target: "c", Name: "default", WitNamespace: "wasi", WitPackage: "http",
		Interfaces: lattice.List[string]{"x"}}); err != nil {
		t.Fatal(err)
	}
	until(t, "hosts know what is in the new bucket", func() bool {
		links, err := client.Links(ctx)
		return err == nil && len(links) == 1
	})
}
