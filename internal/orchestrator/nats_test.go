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
	host := startWireHost(t, s.ClientURL(), "NWIRE")
	fake := newAPI()
	o, err := New(Config{Lattice: "default", Control: client, Applications: fake, Revisions: fakeRevisions{fake},
		Teardowns: fakeTeardowns{fake}, Lease: fakeLease{fake}, Recorder: fakeRecorder{fake}})
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
	host.mu.Lock()
	if len(host.inv.Components) != 1 || host.inv.Components[0].MaxInstances != 4 || len(host.inv.Providers) != 1 {
		t.Errorf("the host runs %+v", host.inv)
	}
	host.mu.Unlock()

	other := w.yaml(strings.ReplaceAll(hello, "name: hello", "name: other"))
	fake.apply(other)
	took := until(t, "another application is deployed", func() bool { return fake.status("other").Phase == v1beta1.PhaseDeployed })
	t.Logf("from the manifest to deployed: %s", took)

	fake.apply(w.yaml(strings.ReplaceAll(hello, "8080", "9090")))
	until(t, "the new address is stored", func() bool {
		entry, err := host.configs.Get(ctx, "hello-addr")
		return err == nil && strings.Contains(string(entry.Value()), "9090")
	})
	until(t, "hello is deployed again", deployed)

	host.mu.Lock()
	host.failing["ghcr.io/x/http:9"] = "no such image"
	host.mu.Unlock()
	fake.apply(w.yaml(strings.ReplaceAll(strings.ReplaceAll(hello, "http:1", "http:9"), "9090", "8080")))
	until(t, "the failure shows", func() bool {
		c := conditions.Find(fake.status("hello").Conditions, "Deployed")
		return c != nil && strings.Contains(c.Message, "no such image")
	})

	fake.remove("ns", "hello")
	until(t, "hello is gone and other stays", func() bool {
		host.mu.Lock()
		defer host.mu.Unlock()
		fake.mu.Lock()
		defer fake.mu.Unlock()
		return len(host.inv.Components) == 1 && len(host.inv.Providers) == 1 && len(fake.records) == 0
	})
	for _, name := range []string{"hello-addr", "hello-defaults"} {
		if _, err := host.configs.Get(ctx, name); err == nil {
			t.Errorf("configuration %s is left", name)
		}
	}
}
