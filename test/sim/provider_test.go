package sim_test

import (
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

func TestProvider(t *testing.T) {
	inBubble(t, sim.Config{StartDelay: sim.Fixed(100 * ms)}, func(r *rig) {
		h := r.Start(sim.Host{})
		r.told()
		start := `{"provider_id":"p","provider_ref":"oci://ghcr.io/acme/p:1","host_id":"` + h + `","config":[],"annotations":{"a":"1"}}`
		// "immediately; the text says "started" although nothing started yet", and the loser of two starts fails.
		var answers []string
		for range 2 {
			r.Handle("wasmbus.ctl.v1.default.provider.start."+h, []byte(start), func(_ string, a []byte) { answers = append(answers, string(a)) })
		}
		r.pass(10 * ms)
		if len(answers) != 2 || answers[0] != `{"success":true,"message":"successfully started provider"}` || answers[1] != answers[0] {
			t.Errorf("answers %q", answers)
		}
		r.wantTold()
		r.pass(time.Second)
		// "image_ref (event and inventory) is the reference with its scheme removed"; "provider_ref as requested".
		r.wantTold("started p ghcr.io/acme/p:1", "start failed p oci://ghcr.io/acme/p:1: provider is already running with that ID")
		// "Start of an existing id is refused whatever the ref or annotations"
		r.want("provider.start."+h, start, `{"success":false,"message":"provider with that ID is already running"}`)
		inv, _ := r.Inventory(h)
		if len(inv.Providers) != 1 || inv.Providers[0].ImageRef != "ghcr.io/acme/p:1" || inv.Providers[0].Name != "p" {
			t.Errorf("inventory: %+v", inv.Providers)
		}
		// "provider health check | first after 5 s, then every 30 s"; "first healthy answer → health_check_passed"
		r.pass(64 * time.Second)
		r.told()
		r.pass(30 * time.Second)
		r.SetFaults(func(f *sim.Faults) { f.Flapping["p"] = true })
		r.pass(60 * time.Second)
		got := r.told()
		var health []string
		for _, line := range got {
			if line != "host_heartbeat" {
				health = append(health, line)
			}
		}
		if len(health) != 3 || health[0] != "health_check_status" || health[1] != "health_check_failed" || health[2] != "health_check_passed" {
			t.Errorf("health: %q", health)
		}
		// "provider_stopped is published before the reply"
		r.want("provider.stop."+h, `{"host_id":"`+h+`","provider_id":"p"}`, `{"success":true,"message":"successfully stopped provider"}`)
		r.wantTold("provider_stopped")
		r.want("provider.stop."+h, `{"host_id":"`+h+`","provider_id":"p"}`, `{"success":false,"message":"provider with that ID is not running"}`)
	})
}

func TestProvider_Builtin(t *testing.T) {
	inBubble(t, sim.Config{NoBuiltins: true}, func(r *rig) {
		h := r.Start(sim.Host{})
		r.told()
		start := func(ref string) []string {
			return r.send("provider.start."+h, `{"provider_id":"p","provider_ref":"`+ref+`","host_id":"`+h+`"}`)
		}
		// "on a host without the feature gets no reply at all (requester times out) and no event"
		if got := start(lattice.BuiltinHTTPServer); len(got) != 0 {
			t.Errorf("answers %q", got)
		}
		r.wantTold()
		// "without the feature replies success, then provider_start_failed"
		if got := start(lattice.BuiltinHTTPClient); len(got) != 1 {
			t.Errorf("answers %q", got)
		}
		r.wantTold("start failed p wasmcloud+builtin://http-client: feature `builtin-http-client` is not enabled, denying start")
	})
}

// linked is a provider "server" with the link to "c" whose source configuration is addr.
func linked(r *rig, ref string) (host string) {
	r.Helper()
	host = r.Start(sim.Host{})
	r.want("config.put.addr", `{"address":"0.0.0.0:8080"}`, `{"success":true,"message":"successfully put config"}`)
	r.want("config.put.addr2", `{"address":"0.0.0.0:9999"}`, `{"success":true,"message":"successfully put config"}`)
	r.want("provider.start."+host, `{"provider_id":"server","provider_ref":"`+ref+`","host_id":"`+host+`"}`,
		`{"success":true,"message":"successfully started provider"}`)
	r.want("link.put", link("addr"), `{"success":true,"message":"successfully set link"}`)
	return host
}

func link(config string) string {
	return `{"source_id":"server","target":"c","wit_namespace":"wasi","wit_package":"http","interfaces":["incoming-handler"],` +
		`"source_config":["` + config + `"]}`
}

// TestApplied is the table "Measured" of §1.4.11: "a change of a link's configuration takes effect only by delete and put".
func TestApplied(t *testing.T) {
	for _, ref := range []string{lattice.BuiltinHTTPServer, "ghcr.io/acme/http-server:1"} {
		inBubble(t, sim.Config{}, func(r *rig) {
			h := linked(r, ref)
			address := func(want string) {
				r.Helper()
				applied := r.Applied(h, "server")
				if len(applied) != 1 || applied[0].SourceConfig["address"] != want {
					r.Errorf("%s: the provider has %+v, want %s", ref, applied, want)
				}
			}
			address("0.0.0.0:8080")
			r.want("config.put.addr", `{"address":"0.0.0.0:9090"}`, `{"success":true,"message":"successfully put config"}`)
			address("0.0.0.0:8080")
			r.want("link.put", link("addr"), `{"success":true,"message":"successfully set link"}`)
			address("0.0.0.0:8080")
			del := `{"source_id":"server","wit_namespace":"wasi","wit_package":"http"}`
			r.want("link.del", del, `{"success":true,"message":"successfully deleted link"}`)
			if got := r.Applied(h, "server"); len(got) != 0 {
				t.Errorf("%s: after the delete the provider has %+v", ref, got)
			}
			r.want("link.put", link("addr"), `{"success":true,"message":"successfully set link"}`)
			address("0.0.0.0:9090")
			r.want("link.put", link("addr2"), `{"success":true,"message":"successfully set link"}`)
			address("0.0.0.0:9090")
			// Links that are there when a provider starts are applied then.
			r.want("provider.stop."+h, `{"host_id":"`+h+`","provider_id":"server"}`, `{"success":true,"message":"successfully stopped provider"}`)
			r.send("provider.start."+h, `{"provider_id":"server","provider_ref":"`+ref+`","host_id":"`+h+`"}`)
			address("0.0.0.0:9999")
		})
	}
}

func TestLinks(t *testing.T) {
	inBubble(t, sim.Config{BucketDelay: sim.Fixed(10 * ms)}, func(r *rig) {
		r.Start(sim.Host{})
		r.told()
		// "every name in source_config and target_config must exist …, else error + linkdef_set_failed"
		text := "Failed to validate configuration and secrets. Configuration addr not found in config store. "
		r.want("link.put", link("addr"), `{"success":false,"message":"`+text+`"}`)
		r.wantTold("link failed: " + text)
		r.want("config.put.addr", `{}`, `{"success":true,"message":"successfully put config"}`)
		r.want("link.put", link("addr"), `{"success":true,"message":"successfully set link"}`)
		r.told()
		other := `{"source_id":"server","target":"d","wit_namespace":"wasi","wit_package":"http","interfaces":[%],"source_config":[]}`
		r.want("link.put", replace(other, `"incoming-handler"`), `{"success":false,"message":"`+lattice.MessageLinkConflict+`"}`)
		r.wantTold("link failed: " + lattice.MessageLinkConflict)
		// "Same name with disjoint interfaces and different targets is allowed"
		r.want("link.put", replace(other, `"outgoing-handler"`), `{"success":true,"message":"successfully set link"}`)
		links, err := r.Lattice.Links()
		if err != nil || len(links) != 2 {
			t.Errorf("links %v, %v", links, err)
		}
		// "Unknown source spec: success, message … (spec doesn't exist), no event"
		r.told()
		r.want("link.del", `{"source_id":"x","wit_namespace":"wasi","wit_package":"http"}`,
			`{"success":true,"message":"successfully deleted link (spec doesn't exist)"}`)
		r.wantTold()
		// "concurrent link puts for the same source handled by different hosts can lose an update"
		for _, name := range []string{"n1", "n2"} {
			body := `{"source_id":"racer","target":"` + name + `","name":"` + name + `","wit_namespace":"wasi","wit_package":"http","interfaces":["i"]}`
			r.Handle("wasmbus.ctl.v1.default.link.put", []byte(body), nil)
		}
		r.pass(time.Second)
		links, err = r.Lattice.Links()
		if err != nil || len(links) != 3 {
			t.Errorf("two puts at once for one source leave %d links in all, want 3: %v", len(links), err)
		}
	})
}
