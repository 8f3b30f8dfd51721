package sim_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/orchestrator"
	"github.com/trellis-operator/trellis/test/sim"
)

var _ orchestrator.Control = (*sim.Client)(nil)

func replace(text, by string) string { return strings.ReplaceAll(text, "%", by) }

func TestQuestions(t *testing.T) {
	inBubble(t, sim.Config{Domain: "hub", Signed: true}, func(r *rig) {
		a := r.Start(sim.Host{Labels: map[string]string{"zone": "a"}})
		b := r.Start(sim.Host{Labels: map[string]string{"zone": "b"}})
		hosts, err := r.Ping(r.Context())
		if err != nil || len(hosts) != 2 || hosts[0].JSDomain != "hub" || hosts[0].Version != "1.9.2" || a[0] != 'N' || len(a) != 56 {
			t.Errorf("ping: %+v, %v", hosts, err)
		}
		// "⚠ … the returned component_id equals the ref, and … a host that already runs the id still bids"
		r.want("component.scale."+a, scaleBody(a, 1, ""), accepted)
		auction := `{"component_ref":"` + ref + `","component_id":"c","constraints":{"zone":"a"}}`
		r.want("component.auction", auction, `{"success":true,"message":"","response":{"component_ref":"`+ref+`","component_id":"`+ref+
			`","host_id":"`+a+`","constraints":{"zone":"a"}}}`)
		// "Silent when constraints fail or that provider id already runs on the host (this check is correct)."
		r.want("provider.start."+b, `{"provider_id":"p","provider_ref":"ghcr.io/acme/p:2","host_id":"`+b+`"}`,
			`{"success":true,"message":"successfully started provider"}`)
		anywhere := lattice.ProviderAuction{ProviderID: "p", ProviderRef: "x", Constraints: lattice.StringMap{}}
		bids, err := r.AuctionProvider(r.Context(), anywhere)
		if err != nil || len(bids) != 1 || bids[0].HostID != a {
			t.Errorf("bids for a provider that runs on the other host: %v, %v", bids, err)
		}
		nowhere := lattice.ComponentAuction{ComponentID: "c", Constraints: lattice.StringMap{"zone": "c"}}
		if bids, err := r.AuctionComponent(r.Context(), nowhere); err != nil || len(bids) != 0 {
			t.Errorf("bids where no host has the label: %v, %v", bids, err)
		}
		answers := r.send("claims.get", "")
		if len(answers) != 1 || !strings.Contains(answers[0], `"name":"hello"`) || !strings.Contains(answers[0], `"config_schema":""`) {
			t.Errorf("claims: %q", answers)
		}
	})
}

// TestRefusals: the texts of §1.2.
func TestRefusals(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		h := r.Start(sim.Host{Labels: map[string]string{"zone": "a"}})
		for _, c := range []struct{ subject, body, message string }{
			{"component.auction", `{"component_id":"c"}`, "failed to deserialize component auction command"},
			{"provider.auction", `{"provider_id":"c"}`, "failed to deserialize provider auction command"},
			{"component.update." + h, `[`, "failed to deserialize component update command"},
			{"provider.start." + h, `{}`, "failed to deserialize provider start command"},
			{"provider.stop." + h, `7`, "failed to deserialize provider stop command"},
			{"host.stop." + h, `x`, "failed to deserialize stop command"},
			{"host.stop." + h, `{"host_id":"other"}`, "invalid host_id [other]"},
			{"label.put." + h, `{"key":"a"}`, "failed to deserialize put label request"},
			{"label.put." + h, `{"key":"HOSTCORE.os","value":"x"}`, "hostcore.* labels cannot be set dynamically"},
			{"label.del." + h, `{}`, "failed to deserialize delete label request"},
			{"link.put", `{}`, "failed to deserialize wrpc link definition"},
			{"link.del", `{}`, "failed to deserialize wrpc link definition"},
			{"config.put.x", `{"a":1}`, "config data should be a map of string -> string"},
			{"config.put.a.b", `{}`, "unsupported subject"},
			{"host.dance." + h, ``, "unsupported subject"},
			{"registry.put", `[]`, "failed to deserialize registries put command"},
		} {
			r.want(c.subject, c.body, fmt.Sprintf(`{"success":false,"message":%q}`, c.message))
		}
		if n := r.Handle("wasmbus.ctl.v1.default.host.get.NOBODY", nil, nil); n != 0 {
			t.Errorf("%d hosts listen for nobody", n)
		}
		if n := r.Handle("wasmbus.ctl.v1.other.host.ping", nil, nil); n != 0 {
			t.Errorf("%d hosts listen in another lattice", n)
		}
	})
}

func TestLabelsAndEnd(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		h := r.Start(sim.Host{})
		r.told()
		r.want("label.put."+h, `{"key":"zone","value":"b"}`, `{"success":true,"message":"successfully put label"}`)
		r.wantTold("labels_changed")
		r.want("label.del."+h, `{"key":"zone"}`, `{"success":true,"message":"successfully deleted label"}`)
		r.wantTold("labels_changed")
		r.want("label.del."+h, `{"key":"zone"}`, `{"success":true,"message":"successfully deleted label (no such label)"}`)
		r.wantTold()
		// "heartbeat | every 30 s …; the first one a full interval after start"
		r.pass(26 * time.Second)
		r.wantTold()
		r.pass(60 * time.Second)
		r.wantTold("host_heartbeat", "host_heartbeat")
		r.want("host.stop."+h, ``, `{"success":true,"message":"successfully handled stop host"}`)
		r.wantTold("host_stopped")
		r.pass(time.Minute)
		r.wantTold()
		if hosts, err := r.Ping(r.Context()); err != nil || len(hosts) != 0 {
			t.Errorf("after the end: %v, %v", hosts, err)
		}
	})
}

// TestDeath: killed, mute, held back, restarted with the same id and with a new one.
func TestDeath(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		ctx := context.Background()
		h := r.Start(sim.Host{Labels: map[string]string{"zone": "a"}})
		scale := lattice.ScaleComponent{ComponentID: "c", ComponentRef: ref, Count: 1, HostID: h}
		r.Mute(h, true)
		if _, err := r.ScaleComponent(ctx, scale); !errors.Is(err, sim.ErrTimeout) {
			t.Errorf("a mute host: %v", err)
		}
		r.Mute(h, false)
		r.told()
		r.Hold(h, true)
		if _, err := r.ScaleComponent(ctx, scale); !errors.Is(err, sim.ErrTimeout) {
			t.Errorf("a host held back: %v", err)
		}
		r.wantTold()
		r.Hold(h, false)
		r.wantTold("scaled c "+ref+" 1 map[]", "scaled c "+ref+" 1 map[]")
		if got := r.Restart(h, true); got != h {
			t.Errorf("restarted as %s", got)
		}
		inv, alive := r.Inventory(h)
		if !alive || len(inv.Components) != 0 || inv.Labels["zone"] != "a" {
			t.Errorf("after the restart: %+v", inv)
		}
		other := r.Restart(h, false)
		if other == h || !slices.Equal(r.Hosts(), []string{other}) {
			t.Errorf("hosts %v after a restart with a new id", r.Hosts())
		}
		r.told()
		r.Kill(other)
		if _, err := r.HostInventory(ctx, other); !errors.Is(err, sim.ErrNoResponders) {
			t.Errorf("a killed host: %v", err)
		}
		r.pass(time.Minute)
		r.wantTold()
	})
}

// TestDeterminism: a seed is a history, whatever order goroutines run in.
func TestDeterminism(t *testing.T) {
	history := func(seed uint64) (log []string) {
		c := sim.Config{Seed: seed, CommandDelay: sim.Range{Min: ms, Max: 9 * ms}, StartDelay: sim.Range{Min: ms, Max: 90 * ms}}
		inBubble(t, c, func(r *rig) {
			r.SetFaults(func(f *sim.Faults) {
				f.LoseEvent, f.TwiceEvent, f.LateEvent, f.WrongEvent, f.LoseReply, f.FailStart = 0.1, 0.1, 0.2, 0.1, 0.1, 0.2
				f.LateBy = sim.Range{Max: 50 * ms}
			})
			r.Subscribe(func(m sim.Message) { log = append(log, time.Now().String()+string(m.Data)) })
			var hosts []string
			for range 3 {
				hosts = append(hosts, r.Start(sim.Host{}))
			}
			done := make(chan struct{})
			for i := range 30 { // all at once, from as many goroutines
				go func() {
					defer func() { done <- struct{}{} }()
					cmd := lattice.ScaleComponent{ComponentID: fmt.Sprint("c", i%10), ComponentRef: ref, Count: uint32(i), HostID: hosts[i%3]}
					_, _ = r.ScaleComponent(r.Context(), cmd) // some answers are lost
				}()
			}
			for range 30 {
				<-done
			}
			r.pass(time.Minute)
		})
		return log
	}
	first := history(1)
	for range 5 {
		if again := history(1); !reflect.DeepEqual(first, again) {
			t.Fatalf("the same seed gave %d messages, then %d, or others", len(first), len(again))
		}
	}
	if other := history(2); reflect.DeepEqual(first, other) {
		t.Error("another seed gave the same history")
	}
}

// TestFaults: losses and copies are about as many as asked for; what is late is overtaken.
func TestFaults(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		h := r.Start(sim.Host{})
		ask := func() (answers int) {
			for range 200 {
				r.Handle("wasmbus.ctl.v1.default.host.get."+h, nil, func(string, []byte) { answers++ })
			}
			r.pass(time.Second)
			return answers
		}
		if got := ask(); got != 200 {
			t.Errorf("%d of 200 answers without faults", got)
		}
		r.SetFaults(func(f *sim.Faults) { f.LoseReply = 0.5 })
		if got := ask(); got < 60 || got > 140 {
			t.Errorf("%d of 200 answers with half of them lost", got)
		}
		r.SetFaults(func(f *sim.Faults) { f.LoseReply, f.TwiceReply = 0, 1 })
		if got := ask(); got != 400 {
			t.Errorf("%d answers with each sent twice", got)
		}
		r.SetFaults(func(f *sim.Faults) { f.TwiceReply, f.LoseCommand = 0, 1 })
		if got := ask(); got != 0 {
			t.Errorf("%d answers to lost commands", got)
		}
		r.ClearFaults()
		r.told()
		r.SetFaults(func(f *sim.Faults) { f.LateEvent, f.LateBy = 1, sim.Fixed(time.Second) })
		r.Emit(h, lattice.ConfigSet{ConfigName: "x"}) //nolint:errcheck // it arrives, or the next check fails
		r.wantTold("config_set")
		r.Handle("wasmbus.ctl.v1.default.label.put."+h, []byte(`{"key":"a","value":"1"}`), nil)
		r.pass(500 * ms)
		r.SetFaults(func(f *sim.Faults) { f.LateEvent = 0 })
		r.Stop(h)
		r.pass(time.Minute)
		r.wantTold("host_stopped", "labels_changed")
		r.SetFaults(func(f *sim.Faults) { f.WrongEvent = 1 })
		raw := r.raw
		r.Start(sim.Host{})
		r.pass(ms)
		if r.raw != raw+2 {
			t.Errorf("%d messages for one event and a wrong one", r.raw-raw)
		}
	})
}

// TestMaxPayload: "A reply larger than the server max_payload is only warned about by the host and then fails to publish:
// the requester sees a timeout. Same for events (heartbeat!)."
func TestMaxPayload(t *testing.T) {
	inBubble(t, sim.Config{MaxPayload: 900}, func(r *rig) {
		h := r.Start(sim.Host{})
		for i := range 20 {
			r.PlaceComponent(h, lattice.ComponentDescription{ID: fmt.Sprint("component-", i), ImageRef: ref, MaxInstances: 1})
		}
		r.told()
		if _, err := r.HostInventory(r.Context(), h); !errors.Is(err, sim.ErrTimeout) {
			t.Errorf("an inventory above the limit: %v", err)
		}
		r.pass(time.Minute)
		r.wantTold()
		if got := r.Counts(); got.Oversized != 3 {
			t.Errorf("%d messages were too large, want an answer and two heartbeats", got.Oversized)
		}
	})
}

// TestBuckets: an outage fails commands and mutes watches; what is wiped is gone for watches, not for hosts.
func TestBuckets(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		ctx, stop := context.WithCancel(r.Context())
		h := linked(r, "ghcr.io/acme/http-server:1")
		var seen []string
		done := r.WatchConfig(ctx, func(c lattice.ConfigChange) { seen = append(seen, fmt.Sprint(c.Kind, c.Name)) })
		r.pass(ms)
		r.SetBucketsDown(true)
		if err := r.PutConfig(ctx, "late", nil); !errors.Is(err, sim.ErrTimeout) {
			t.Errorf("a put during an outage: %v", err)
		}
		r.pass(10 * time.Second)
		r.SetBucketsDown(false)
		if err := r.PutConfig(ctx, "new", nil); err != nil {
			t.Error(err)
		}
		r.pass(ms)
		r.store.Wipe()
		r.pass(ms)
		whole := []string{"1", "2addr", "2addr2", "4"}
		if want := slices.Concat(whole, whole, []string{"2new", "1", "4"}); !slices.Equal(seen, want) {
			t.Errorf("the watch told %q, want %q", seen, want)
		}
		if links, err := r.Client.Links(ctx); err != nil || len(links) != 1 || len(r.Applied(h, "server")) != 1 {
			t.Errorf("hosts forgot their links with the bucket: %v, %v", links, err)
		}
		stop()
		<-done
	})
}

// TestClient_Disconnect: events are lost to a client without its connection; changes of buckets wait.
func TestClient_Disconnect(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		ctx, stop := context.WithCancel(r.Context())
		h := r.Start(sim.Host{})
		var seen []string
		events, err := r.Events(ctx, func(e lattice.Event) { seen = append(seen, string(e.Kind())) },
			func(err error) { seen = append(seen, fmt.Sprint("gap ", errors.Is(err, sim.ErrGap))) })
		if err != nil {
			t.Fatal(err)
		}
		var changes []string
		configs := r.WatchConfig(ctx, func(c lattice.ConfigChange) { changes = append(changes, fmt.Sprint(c.Kind, c.Name)) })
		r.pass(ms)
		r.Disconnect()
		r.Handle("wasmbus.ctl.v1.default.config.put.x", []byte(`{}`), nil)
		r.pass(time.Second)
		if err := r.PutConfig(ctx, "x", nil); !errors.Is(err, sim.ErrDisconnected) {
			t.Errorf("without a connection: %v", err)
		}
		r.Connect()
		r.pass(ms)
		r.Stop(h)
		r.pass(ms)
		stop()
		<-events
		<-configs
		if want := []string{"gap false", "gap true", "host_stopped"}; !slices.Equal(seen, want) {
			t.Errorf("events %q, want %q", seen, want)
		}
		if want := []string{"1", "4", "2x"}; !slices.Equal(changes, want) {
			t.Errorf("changes %q, want %q", changes, want)
		}
	})
}

// TestClient_NoHosts: what no host is there for is deleted from the buckets.
func TestClient_NoHosts(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		h := linked(r, "ghcr.io/acme/http-server:1")
		r.Kill(h)
		key := lattice.LinkKey{SourceID: "server", Name: "default", WitNamespace: "wasi", WitPackage: "http"}
		if err := errors.Join(r.DeleteLink(r.Context(), key), r.DeleteConfig(r.Context(), "addr")); err != nil {
			t.Error(err)
		}
		links, err := r.Lattice.Links()
		configs, err2 := r.Configs()
		if len(links) != 0 || len(configs) != 1 || err != nil || err2 != nil {
			t.Errorf("left: %v, %v (%v, %v)", links, configs, err, err2)
		}
	})
}
