package orchestrator

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/conditions"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/test/sim"
	"github.com/trellis-operator/trellis/test/sim/wire"
)

func (a *api) status(name string) v1beta1.ApplicationStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	if app := a.apps[appKey{"ns", name}]; app != nil {
		return app.Status
	}
	return v1beta1.ApplicationStatus{}
}

func until(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(time.Millisecond) // the pace of polling
	}
	return time.Since(began)
}

// TestOverNATS runs an orchestrator with package control over a real server: from a manifest to what hosts run, a change,
// a failure, the end.
func TestOverNATS(t *testing.T) {
	s := natsd.Run(t, natsd.Options{})
	conn, err := nats.Connect(s.ClientURL(), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	client, err := control.New(conn, "default", control.Options{Window: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := wire.Start(t.Context(), wire.Options{URL: s.ClientURL(), Config: sim.Config{CommandDelay: sim.Fixed(time.Millisecond)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hosts.Close)
	host := hosts.Lattice.Start(sim.Host{})
	if err := hosts.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	fake := newAPI()
	o, err := New(Config{Lattice: "default", Control: client, Applications: fake, Revisions: fakeRevisions{fake},
		Teardowns: fakeTeardowns{fake}, Lease: fakeLease{fake}, Recorder: fakeRecorder{fake}, ComponentDeadline: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := o.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })

	w := &world{T: t, api: fake}
	deployed := func() bool { return fake.status("hello").Phase == v1beta1.PhaseDeployed }
	fake.apply(w.yaml(hello))
	until(t, "hello is deployed", deployed)
	if inv, _ := hosts.Inventory(host); len(inv.Components) != 1 || inv.Components[0].MaxInstances != 4 || len(inv.Providers) != 1 {
		t.Errorf("the host runs %+v", inv)
	}
	address := func() string {
		for _, applied := range hosts.Applied(host, "hello-server") {
			return applied.SourceConfig["address"]
		}
		return ""
	}
	until(t, "the provider has its address", func() bool { return address() == "0.0.0.0:8080" })

	other := w.yaml(strings.ReplaceAll(hello, "name: hello", "name: other"))
	fake.apply(other)
	took := until(t, "another application is deployed", func() bool { return fake.status("other").Phase == v1beta1.PhaseDeployed })
	t.Logf("from the manifest to deployed: %s", took)

	fake.apply(w.yaml(strings.ReplaceAll(hello, "8080", "9090")))
	until(t, "the provider has the new address", func() bool { return address() == "0.0.0.0:9090" })
	until(t, "hello is deployed again", deployed)

	hosts.SetFaults(func(f *sim.Faults) { f.Failing["ghcr.io/x/http:9"] = "no such image" })
	shows := func(name, text string) func() bool {
		return func() bool {
			c := conditions.Find(fake.status(name).Conditions, "Deployed")
			return c != nil && strings.Contains(c.Message, text)
		}
	}
	fake.apply(w.yaml(strings.ReplaceAll(strings.ReplaceAll(hello, "http:1", "http:9"), "name: hello", "name: broken")))
	until(t, "the failure shows", shows("broken", "no such image"))
	fake.remove("ns", "broken")
	// Hosts tell nobody that an update failed: only that nothing came of it can be said.
	fake.apply(w.yaml(strings.ReplaceAll(strings.ReplaceAll(hello, "http:1", "http:9"), "9090", "8080")))
	until(t, "the failed update shows", shows("hello", "had no effect"))

	fake.remove("ns", "hello")
	until(t, "hello is gone and other stays", func() bool {
		inv, _ := hosts.Inventory(host)
		fake.mu.Lock()
		defer fake.mu.Unlock()
		return len(inv.Components) == 1 && len(inv.Providers) == 1 && len(fake.records) == 0
	})
	for _, name := range []string{"hello-addr", "hello-defaults"} {
		if _, found, err := client.GetConfig(ctx, name); found || err != nil {
			t.Errorf("configuration %s is left, or cannot be read: %v", name, err)
		}
	}
}
