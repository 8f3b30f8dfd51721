package wasmhost_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// program writes a fake component and returns its path.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program.wasm")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPingAndInventory(t *testing.T) {
	w := newWorld(t, func(c *wasmhost.Config) {
		c.Labels = map[string]string{"zone": "a"}
		c.Heartbeat = 50 * time.Millisecond
	})
	hosts, err := w.client.Ping(t.Context())
	if err != nil || len(hosts) != 1 {
		t.Fatal(hosts, err)
	}
	h := hosts[0]
	if h.ID != w.host || h.Lattice != "default" || h.Labels["zone"] != "a" || h.Labels[lattice.LabelOSFamily] != "unix" || h.CtlHost != w.url {
		t.Errorf("ping: %+v", h)
	}
	w.serve("app", program(t, "hi"), 3, func(c *lattice.ScaleComponent) {
		c.Annotations = map[string]string{"a": "b"}
		c.Limits = map[string]string{lattice.LimitMaxMemory: "1000"}
	})
	want := lattice.Inventory{
		HostID: w.host, FriendlyName: h.FriendlyName, Version: wasmhost.Version, Labels: h.Labels,
		Components: []lattice.ComponentDescription{{ID: "app", Annotations: lattice.StringMap{"a": "b"}, MaxInstances: 3,
			Limits: map[string]string{lattice.LimitMaxMemory: "1000"}}},
		Providers: []lattice.ProviderDescription{{ID: "app-http", ImageRef: "ghcr.io/wasmcloud/http-server:0.27.0", Annotations: lattice.StringMap{}}},
	}
	got, err := w.client.HostInventory(t.Context(), w.host)
	if err != nil {
		t.Fatal(err)
	}
	want.Components[0].ImageRef = got.Components[0].ImageRef
	ignore := cmpopts.IgnoreFields(lattice.Inventory{}, "UptimeHuman", "UptimeSeconds")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	w.event(lattice.KindHostHeartbeat, func(e lattice.Event) bool {
		return cmp.Equal(want, e.Data.(lattice.HostHeartbeat).Inventory, ignore)
	})
}

func TestLabels(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	w.must(w.client.PutLabel(ctx, w.host, "zone", "b"))
	w.event(lattice.KindLabelsChanged, func(e lattice.Event) bool { return e.Data.(lattice.LabelsChanged).Labels["zone"] == "b" })
	if text, _ := control.Refusal(w.client.PutLabel(ctx, w.host, "HostCore.x", "b")); text != lattice.MessageReservedLabel {
		t.Errorf("reserved label: %q", text)
	}
	w.must(w.client.DeleteLabel(ctx, w.host, "zone"))
	w.must(w.client.DeleteLabel(ctx, w.host, "zone"))
	bids, err := w.client.AuctionComponent(ctx, lattice.ComponentAuction{ComponentID: "x", Constraints: lattice.StringMap{"zone": "b"}})
	if err != nil || len(bids) != 0 {
		t.Errorf("a bid with a label that is gone: %v, %v", bids, err)
	}
}

func TestAuctions(t *testing.T) {
	w := newWorld(t, func(c *wasmhost.Config) { c.Labels = map[string]string{"zone": "a"} })
	w.serve("app", program(t, "hi"), 1, nil)
	for what, c := range map[string]struct {
		id, ref string
		zone    string
		bids    int
	}{
		"component":       {"other", "x", "a", 1},
		"component runs":  {"app", "x", "a", 0},
		"component label": {"other", "x", "b", 0},
	} {
		bids, err := w.client.AuctionComponent(t.Context(), lattice.ComponentAuction{ComponentID: c.id, ComponentRef: c.ref, Constraints: lattice.StringMap{"zone": c.zone}})
		if err != nil || len(bids) != c.bids {
			t.Errorf("%s: %v, %v", what, bids, err)
		}
	}
	for what, c := range map[string]struct {
		id, ref string
		bids    int
	}{
		"provider":         {"p", "ghcr.io/wasmcloud/http-server:0.27.0", 1},
		"mirror":           {"p", "10.0.0.1:5000/any/http-server:0.27.0", 1},
		"digest":           {"p", "ghcr.io/wasmcloud/http-server@sha256:aa", 1},
		"builtin":          {"p", lattice.BuiltinHTTPServer, 1},
		"provider runs":    {"app-http", lattice.BuiltinHTTPServer, 0},
		"another provider": {"p", "ghcr.io/wasmcloud/keyvalue-nats:0.3.1", 0},
		"no such builtin":  {"p", lattice.BuiltinMessagingNATS, 0},
	} {
		bids, err := w.client.AuctionProvider(t.Context(), lattice.ProviderAuction{ProviderID: c.id, ProviderRef: c.ref, Constraints: lattice.StringMap{}})
		if err != nil || len(bids) != c.bids {
			t.Errorf("%s: %v, %v", what, bids, err)
		}
	}
}

func TestProvider_Errors(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	w.must(w.client.PutConfig(ctx, "odd-mode", lattice.Config{"routing_mode": "smell"}))
	w.must(w.client.PutConfig(ctx, "odd-address", lattice.Config{"default_address": "localhost:8080"}))
	for id, c := range map[string]struct{ ref, config, want string }{
		"other":   {"ghcr.io/wasmcloud/keyvalue-nats:0.3.1", "", "runs no provider binaries"},
		"feature": {lattice.BuiltinHTTPClient, "", "does not have that builtin provider"},
		"missing": {lattice.BuiltinHTTPServer, "gone", "Config gone does not exist"},
		"mode":    {lattice.BuiltinHTTPServer, "odd-mode", "unknown routing_mode: smell"},
		"address": {lattice.BuiltinHTTPServer, "odd-address", "invalid address: localhost:8080"},
	} {
		command := lattice.StartProvider{ProviderID: id, ProviderRef: c.ref, HostID: w.host}
		if c.config != "" {
			command.Config = []string{c.config}
		}
		w.must(w.client.StartProvider(ctx, command))
		e := w.event(lattice.KindProviderStartFailed, func(e lattice.Event) bool { return e.Data.(lattice.ProviderStartFailed).ProviderID == id })
		if d := e.Data.(lattice.ProviderStartFailed); !strings.Contains(d.Error, c.want) || d.ProviderRef != c.ref {
			t.Errorf("%s: %+v", id, d)
		}
	}
	if text, _ := control.Refusal(w.client.StopProvider(ctx, w.host, "nobody")); text != lattice.MessageProviderAbsent {
		t.Errorf("stop of nothing: %q", text)
	}
	w.serve("app", program(t, "hi"), 1, nil)
	again := lattice.StartProvider{ProviderID: "app-http", ProviderRef: lattice.BuiltinHTTPServer, HostID: w.host}
	if text, _ := control.Refusal(w.client.StartProvider(ctx, again)); text != lattice.MessageProviderRunning {
		t.Errorf("second start: %q", text)
	}
}

// TestLinks: the listener follows the link, and a changed configuration only with it.
func TestLinks(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	url := w.serve("app", program(t, "hi"), 1, nil)
	closed := func(url string) func() bool {
		return func() bool { _, err := http.Get(url); return err != nil }
	}
	open := func(url string) func() bool {
		return func() bool {
			response, err := http.Get(url)
			if err == nil {
				_ = response.Body.Close()
			}
			return err == nil && response.StatusCode == 200
		}
	}
	other := freeAddress(t)
	w.must(w.client.PutConfig(ctx, "app-address", lattice.Config{"address": other}))
	if !open(url)() {
		t.Error("the configuration alone moved the listener")
	}
	w.must(w.client.DeleteLink(ctx, w.link("app").Key()))
	w.must(w.client.PutLink(ctx, w.link("app")))
	w.eventually("the new address answers", open("http://"+other))
	w.eventually("the old one does not", closed(url))
	elsewhere := w.link("app")
	elsewhere.Target = "another"
	if text, _ := control.Refusal(w.client.PutLink(ctx, elsewhere)); text != lattice.MessageLinkConflict {
		t.Errorf("conflict: %q", text)
	}
	missing := w.link("app")
	missing.SourceConfig = []string{"gone"}
	if text, _ := control.Refusal(w.client.PutLink(ctx, missing)); !lattice.IsMissingConfig(text) {
		t.Errorf("missing configuration: %q", text)
	}
	w.event(lattice.KindLinkSetFailed, nil)
	if links, err := w.client.Links(ctx); err != nil || !cmp.Equal(links, []lattice.Link{w.link("app")}, cmpopts.EquateEmpty()) {
		t.Errorf("links: %+v, %v", links, err)
	}
	w.must(w.client.DeleteLink(ctx, w.link("app").Key()))
	w.eventually("no link, no port", closed("http://"+other))
	w.must(w.client.DeleteLink(ctx, lattice.LinkKey{SourceID: "nobody", Name: "default", WitNamespace: "wasi", WitPackage: "http"}))
}

// TestAddressInUse: a port that somebody else holds is taken as soon as it is free.
func TestAddressInUse(t *testing.T) {
	w := newWorld(t, nil)
	taken := &http.Server{Addr: freeAddress(t)}
	go func() { _ = taken.ListenAndServe() }()
	w.eventually("the port is taken", func() bool { _, err := http.Get("http://" + taken.Addr); return err == nil })
	w.must(w.client.PutConfig(t.Context(), "a", lattice.Config{"address": taken.Addr}))
	l := w.link("app")
	l.SourceConfig = []string{"a"}
	w.must(w.client.PutLink(t.Context(), l))
	w.must(w.client.StartProvider(t.Context(), lattice.StartProvider{ProviderID: "app-http", ProviderRef: lattice.BuiltinHTTPServer, HostID: w.host}))
	w.eventually("the failure is logged", func() bool { return w.log.contains("cannot be listened on") })
	_ = taken.Close()
	w.eventually("the host has the port", func() bool { r, err := http.Get("http://" + taken.Addr); return err == nil && r.StatusCode == 503 })
}

func TestConfig(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	w.must(w.client.PutConfig(ctx, "a", lattice.Config{"say": "A"}))
	w.must(w.client.PutConfig(ctx, "b", lattice.Config{"say": "B"}))
	if c, found, err := w.client.GetConfig(ctx, "a"); err != nil || !found || c["say"] != "A" {
		t.Error(c, found, err)
	}
	url := w.serve("app", program(t, "hi"), 1, func(c *lattice.ScaleComponent) { c.Config = []string{"a", "b"} })
	if _, body := get(t, url); !strings.HasPrefix(body, "B ") {
		t.Errorf("the later name must win: %q", body)
	}
	w.must(w.client.DeleteConfig(ctx, "b"))
	w.eventually("the deleted one counts as empty", func() bool { _, body := get(t, url); return strings.HasPrefix(body, "A ") })
	if _, found, err := w.client.GetConfig(ctx, "b"); err != nil || found {
		t.Error("found after deletion", err)
	}
	w.event(lattice.KindConfigDeleted, nil)
	reply, err := w.conn.Request("wasmbus.ctl.v1.default.config.put.x", []byte(`{"a":1}`), time.Second)
	if err != nil || !strings.Contains(string(reply.Data), lattice.MessageBadConfig) {
		t.Errorf("a number as value: %v, %v", reply, err)
	}
	reply, err = w.conn.Request("wasmbus.ctl.v1.default.config.put.x.y", []byte(`{}`), time.Second)
	if err != nil || !strings.Contains(string(reply.Data), lattice.MessageUnsupportedSubject) {
		t.Errorf("a dot in the name: %v, %v", reply, err)
	}
}

// TestRestart: a host that comes back runs nothing, and the lattice's data is still there.
func TestRestart(t *testing.T) {
	w := newWorld(t, nil)
	url := w.serve("app", program(t, "hi"), 1, nil)
	w.stop()
	if e := w.event(lattice.KindHostStopped, nil); e.Host != w.host {
		t.Errorf("host_stopped of %s", e.Host)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("the port is open after the host ended")
	}
	w.startHost(nil)
	i, err := w.client.HostInventory(t.Context(), w.host)
	if err != nil || len(i.Components)+len(i.Providers) != 0 {
		t.Errorf("inventory of the new host: %+v, %v", i, err)
	}
	if links, err := w.client.Links(t.Context()); err != nil || len(links) != 1 {
		t.Errorf("links after the restart: %v, %v", links, err)
	}
	w.must(w.client.StartProvider(t.Context(), lattice.StartProvider{ProviderID: "app-http", ProviderRef: lattice.BuiltinHTTPServer, HostID: w.host}))
	w.eventually("the stored link opens the port", func() bool { r, err := http.Get(url); return err == nil && r.StatusCode == 503 })
}

// TestPathMode: one port, a component for each path.
func TestPathMode(t *testing.T) {
	w := newWorld(t, nil)
	ctx := t.Context()
	address := freeAddress(t)
	w.must(w.client.PutConfig(ctx, "mode", lattice.Config{"routing_mode": "path", "default_address": address}))
	w.must(w.client.StartProvider(ctx, lattice.StartProvider{ProviderID: "http", ProviderRef: lattice.BuiltinHTTPServer, HostID: w.host, Config: []string{"mode"}}))
	for _, name := range []string{"one", "two"} {
		w.must(w.client.PutConfig(ctx, "at-"+name, lattice.Config{"path": "/" + name}))
		w.must(w.client.PutLink(ctx, lattice.Link{SourceID: "http", Target: name, Name: name, WitNamespace: "wasi", WitPackage: "http",
			Interfaces: []string{"incoming-handler"}, SourceConfig: []string{"at-" + name}}))
		_, err := w.client.ScaleComponent(ctx, lattice.ScaleComponent{ComponentID: name, ComponentRef: fileRef(t, program(t, name)), Count: 1, HostID: w.host})
		w.must(err)
	}
	for path, want := range map[string]string{"/one": "one ", "/two?x": "two "} {
		w.eventually(path, func() bool {
			r, err := http.Get("http://" + address + path)
			if err != nil {
				return false
			}
			_ = r.Body.Close()
			_, body := get(t, "http://"+address+path)
			return strings.HasPrefix(body, want)
		})
	}
	if status, _ := get(t, "http://"+address+"/one/more"); status != http.StatusNotFound {
		t.Errorf("another path: %d", status)
	}
}
