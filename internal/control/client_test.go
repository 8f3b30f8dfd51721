package control_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
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

func newClient(t *testing.T, url string, o control.Options) *control.Client {
	t.Helper()
	c, err := control.New(connect(t, url), "default", o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// accepting records the last command of each kind and accepts it.
func accepting(t *testing.T, seen map[string]string) func(lattice.Operation, []byte) []lattice.Reply {
	var mu sync.Mutex
	return func(op lattice.Operation, body []byte) []lattice.Reply {
		mu.Lock()
		defer mu.Unlock()
		seen[op.Noun+"."+op.Verb+" "+op.Object] = string(body)
		switch op.Noun + "." + op.Verb {
		case "host.get":
			return payload(t, lattice.Inventory{HostID: hostA, Components: lattice.List[lattice.ComponentDescription]{{ID: "app-hello", MaxInstances: 3}}})
		case "link.get":
			return payload(t, lattice.List[lattice.Link]{{SourceID: "a", Target: "b", Name: "default", WitNamespace: "wasi", WitPackage: "http", Interfaces: lattice.List[string]{"x"}}})
		case "config.get":
			if op.Object == "there" {
				return payload(t, lattice.Config{"k": "v"})
			}
			return []lattice.Reply{lattice.Accepted(lattice.MessageConfigNotFound)}
		case "component.refresh": // what hosts say to a command that they do not have
			return []lattice.Reply{lattice.Refused(lattice.MessageUnsupportedSubject)}
		case "component.update":
			return []lattice.Reply{lattice.Refused(lattice.MessageComponentAbsent("app-hello"))}
		}
		return []lattice.Reply{lattice.Accepted("fine")}
	}
}

func TestCommands(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	seen := map[string]string{}
	responder{id: hostA, answer: accepting(t, seen)}.run(t, connect(t, url), "default")
	c := newClient(t, url, control.Options{})
	ctx := t.Context()

	notice, err := c.ScaleComponent(ctx, lattice.ScaleComponent{ComponentID: "app-hello", ComponentRef: "r", Count: 5, HostID: hostA})
	if err != nil || notice != "fine" {
		t.Errorf("scale: %q, %v", notice, err)
	}
	_, err = c.UpdateComponent(ctx, lattice.UpdateComponent{ComponentID: "app-hello", HostID: hostA})
	if text, refused := control.Refusal(err); !refused || text != "component app-hello not found" {
		t.Errorf("update: %v", err)
	}
	err = c.RefreshComponent(ctx, lattice.RefreshComponent{ComponentID: "app-hello", HostID: hostA})
	if !control.IsUnsupported(err) || control.IsUnsupported(errors.New("unsupported subject")) {
		t.Errorf("refresh: %v", err)
	}
	inventory, err := c.HostInventory(ctx, hostA)
	if err != nil || len(inventory.Components) != 1 || inventory.Components[0].MaxInstances != 3 {
		t.Errorf("inventory: %+v, %v", inventory, err)
	}
	links, err := c.Links(ctx)
	if err != nil || len(links) != 1 || links[0].Target != "b" {
		t.Errorf("links: %+v, %v", links, err)
	}
	config, found, err := c.GetConfig(ctx, "there")
	if err != nil || !found || config["k"] != "v" {
		t.Errorf("config: %v, %v, %v", config, found, err)
	}
	if _, found, err := c.GetConfig(ctx, "absent"); err != nil || found {
		t.Errorf("absent config: %v, %v", found, err)
	}
	key := lattice.LinkKey{SourceID: "a", Name: "default", WitNamespace: "wasi", WitPackage: "http"}
	for what, err := range map[string]error{
		"start":         c.StartProvider(ctx, lattice.StartProvider{ProviderID: "p", ProviderRef: "r", HostID: hostA}),
		"stop":          c.StopProvider(ctx, hostA, "p"),
		"put link":      c.PutLink(ctx, lattice.Link{SourceID: "a", Target: "b", Name: "default", WitNamespace: "wasi", WitPackage: "http"}),
		"delete link":   c.DeleteLink(ctx, key),
		"put config":    c.PutConfig(ctx, "x", nil),
		"delete config": c.DeleteConfig(ctx, "x"),
		"put label":     c.PutLabel(ctx, hostA, "zone", ""),
		"delete label":  c.DeleteLabel(ctx, hostA, "zone"),
		"stop host":     c.StopHost(ctx, hostA, 1500*time.Millisecond),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	want := map[string]string{
		"component.scale " + hostA:   `{"component_id":"app-hello","component_ref":"r","count":5,"host_id":"` + hostA + `","config":[],"allow_update":false}`,
		"component.refresh " + hostA: `{"component_id":"app-hello","host_id":"` + hostA + `"}`,
		"provider.stop " + hostA:     `{"host_id":"` + hostA + `","provider_id":"p"}`,
		"link.del ":                  `{"source_id":"a","name":"default","wit_namespace":"wasi","wit_package":"http"}`,
		"config.put x":               `{}`,
		"label.put " + hostA:         `{"key":"zone","value":""}`,
		"host.stop " + hostA:         `{"host_id":"` + hostA + `","timeout":1500}`,
	}
	got := map[string]string{}
	for k := range want {
		got[k] = seen[k]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands on the wire (-want +got):\n%s", diff)
	}
}

func TestCommands_Errors(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	url := server.ClientURL()
	silent := func(op lattice.Operation, _ []byte) []lattice.Reply { return nil }
	responder{id: hostB, answer: silent}.run(t, connect(t, url), "default")
	c := newClient(t, url, control.Options{Timeout: 100 * time.Millisecond})
	ctx := t.Context()

	if err := c.StopProvider(ctx, hostA, "p"); !errors.Is(err, control.ErrNoResponders) || !strings.Contains(err.Error(), "stop provider p on host "+hostA) {
		t.Errorf("absent host: %v", err)
	}
	if err := c.StopProvider(ctx, hostB, "p"); !errors.Is(err, control.ErrTimeout) {
		t.Errorf("silent host: %v", err)
	}
	if err := c.StopProvider(ctx, "N.A", "p"); !errors.Is(err, lattice.ErrInvalidName) {
		t.Errorf("a host id that reaches other subjects: %v", err)
	}
	if _, _, err := c.GetConfig(ctx, "a.>"); !errors.Is(err, lattice.ErrInvalidName) {
		t.Errorf("a configuration name that reaches other subjects: %v", err)
	}
	if _, err := control.New(connect(t, url), "a.b", control.Options{}); !errors.Is(err, lattice.ErrInvalidName) {
		t.Errorf("a lattice name with a dot: %v", err)
	}
	server.Shutdown()
	waitFor(t, "the loss is noticed", func() bool { return !c.Connected() })
	if err := c.DeleteConfig(ctx, "x"); !errors.Is(err, control.ErrDisconnected) && !errors.Is(err, control.ErrTimeout) {
		t.Errorf("disconnected: %v", err)
	}
}

// TestPing_Gathers waits the whole window, takes several answers, one for each host, and survives an odd one.
func TestPing_Gathers(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	for _, id := range []string{hostB, hostA} {
		responder{id: id, answer: func(op lattice.Operation, _ []byte) []lattice.Reply {
			twice := payload(t, lattice.HostPing{ID: id, Version: "1.9.2"})
			return append(twice, twice[0])
		}}.run(t, connect(t, url), "default")
	}
	odd := connect(t, url)
	if _, err := odd.Subscribe("wasmbus.ctl.v1.default.host.ping", func(m *nats.Msg) {
		for _, text := range []string{"", "{", `{"success":true,"message":"","response":{}}`} {
			_ = m.Respond([]byte(text))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := odd.Flush(); err != nil {
		t.Fatal(err)
	}
	window := 300 * time.Millisecond
	c := newClient(t, url, control.Options{Window: window})
	begin := time.Now()
	hosts, err := c.Ping(t.Context())
	if err != nil || len(hosts) != 2 || hosts[0].ID != hostA || hosts[1].ID != hostB {
		t.Errorf("hosts %+v, error %v", hosts, err)
	}
	if took := time.Since(begin); took < window {
		t.Errorf("the gathering ended after %s, before its window", took)
	}
}

func TestPing_NobodyAndCancelled(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	c := newClient(t, url, control.Options{Window: time.Hour})
	if hosts, err := c.Ping(t.Context()); err != nil || len(hosts) != 0 {
		t.Errorf("an empty lattice: %v, %v", hosts, err)
	}
	responder{id: hostA, answer: func(lattice.Operation, []byte) []lattice.Reply { return nil }}.run(t, connect(t, url), "default")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Ping(ctx); !errors.Is(err, control.ErrTimeout) {
		t.Errorf("a caller that gives up: %v", err)
	}
}

func TestAuctions(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	responder{id: hostA, answer: func(op lattice.Operation, body []byte) []lattice.Reply {
		if op.Noun == "component" {
			a, err := lattice.Decode[lattice.ComponentAuction](body)
			if err != nil {
				t.Error(err)
			}
			// as hosts 1.9.2: the reference in place of the id
			return payload(t, lattice.ComponentBid{HostID: hostA, ComponentID: a.ComponentRef, ComponentRef: a.ComponentRef})
		}
		return payload(t, lattice.ProviderBid{HostID: hostA, ProviderID: "p"})
	}}.run(t, connect(t, url), "default")
	c := newClient(t, url, control.Options{Window: 100 * time.Millisecond})
	bids, err := c.AuctionComponent(t.Context(), lattice.ComponentAuction{ComponentID: "id", ComponentRef: "ref"})
	if err != nil || len(bids) != 1 || bids[0].HostID != hostA {
		t.Errorf("component bids %+v, %v", bids, err)
	}
	offers, err := c.AuctionProvider(t.Context(), lattice.ProviderAuction{ProviderID: "p", ProviderRef: "r"})
	if err != nil || len(offers) != 1 || offers[0].HostID != hostA {
		t.Errorf("provider bids %+v, %v", offers, err)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 15 s: %s", what)
		case <-tick.C:
		}
	}
}
