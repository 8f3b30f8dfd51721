package sim_test

import (
	"testing"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

// TestScale is the decision table of the protocol, row by row.
func TestScale(t *testing.T) {
	const noA, a1, a2 = "map[]", "map[a:1]", "map[a:2]"
	inBubble(t, sim.Config{StartDelay: sim.Fixed(20 * ms)}, func(r *rig) {
		h := r.Start(sim.Host{})
		r.wantTold("host_started")
		scale := func(count int, more string) {
			r.Helper()
			r.want("component.scale."+h, scaleBody(h, count, more), accepted)
		}
		// "absent | 0 | nothing; component_scaled with 0"
		scale(0, "")
		r.wantTold("scaled c " + ref + " 0 " + a1)
		// "absent | n>0 | fetch, … write … spec to KV, instantiate …; component_scaled ×2"
		scale(2, `"component_limits":{"max_memory_limit":"64","max_execution_time":"x"}`)
		r.wantTold("scaled c "+ref+" 2 "+a1, "scaled c "+ref+" 2 "+a1)
		spec, _, _ := r.store.Get(sim.DataBucket, "COMPONENT_c")
		if string(spec) != `{"url":"`+ref+`","links":[]}` {
			t.Errorf("the record is %s", spec)
		}
		// "running | n = current and config list identical | no-op; annotations and limits of the request are dropped"
		scale(2, `"annotations":{"a":"2"}`)
		r.wantTold("scaled c " + ref + " 2 " + a1)
		inv, _ := r.Inventory(h)
		if c := inv.Components[0]; c.Annotations["a"] != "1" || c.Limits["max_memory_limit"] != "64" || len(c.Limits) != 1 {
			t.Errorf("after a no-op: %+v", c)
		}
		// "For an already running component the event reports the annotations and image ref that were stored before the
		// request, with the new max_instances."
		scale(3, `"annotations":{"a":"2"}`)
		r.wantTold("scaled c " + ref + " 3 " + a1)
		scale(4, `"annotations":{"a":"1"}`)
		r.wantTold("scaled c " + ref + " 4 " + a2)
		// "running | 0 | … entry removed; component_scaled 0 with stored annotations and ref. The KV spec … stay"
		scale(0, `"annotations":{}`)
		r.wantTold("scaled c " + ref + " 0 " + a1)
		if inv, _ = r.Inventory(h); len(inv.Components) != 0 {
			t.Errorf("after scale to 0: %+v", inv.Components)
		}
		if _, found, _ := r.store.Get(sim.DataBucket, "COMPONENT_c"); !found {
			t.Error("scale to 0 removed the record")
		}
		// "max_instances is not accepted and, being unknown, is ignored - which means 0, i.e. stop the component"
		r.want("component.scale."+h, `{"component_id":"c","max_instances":5}`, accepted)
		r.wantTold("scaled c  0 " + noA)
		r.want("component.scale."+h, `{"count":1}`, `{"success":false,"message":"failed to deserialize component scale command"}`)
	})
}

// TestScale_Config: "The stored config list contains only non-secret names, so a request whose config contains SECRET…
// names never compares equal: every such scale re-instantiates".
func TestScale_Config(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		h := r.Start(sim.Host{})
		r.told()
		r.want("component.scale."+h, scaleBody(h, 1, `"config":["x"]`), accepted)
		r.wantTold("scale failed c: Unable to fetch requested config: Config x does not exist")
		for _, name := range []string{"x", "y", "SECRET_z"} {
			r.want("config.put."+name, `{"k":"v"}`, `{"success":true,"message":"successfully put config"}`)
		}
		r.told()
		r.want("component.scale."+h, scaleBody(h, 1, `"config":["x","SECRET_z"]`), accepted)
		r.told()
		r.want("component.scale."+h, scaleBody(h, 1, `"config":["x","SECRET_z"],"annotations":{"a":"2"}`), accepted)
		r.wantTold("scaled c " + ref + " 1 map[a:1]")
		if inv, _ := r.Inventory(h); inv.Components[0].Annotations["a"] != "2" {
			t.Error("a scale with a secret was taken for a no-op")
		}
		if got := r.ConfigOf(h, "c"); len(got) != 1 || got[0] != "x" {
			t.Errorf("stored configurations: %v", got)
		}
	})
}

// TestScale_OtherRef holds the two defects of scaling an id that runs with another image.
func TestScale_OtherRef(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		h := r.Start(sim.Host{})
		r.want("component.scale."+h, scaleBody(h, 1, ""), accepted)
		notice := func(allow bool) string {
			body, err := lattice.Encode(lattice.Accepted(lattice.MessageOtherRef(ref, "new", allow)))
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		// "false | … | scaled only"; with count and list unchanged nothing changes.
		r.want("component.scale."+h, scaleBody(h, 1, `"component_ref":"new"`), notice(false))
		if inv, _ := r.Inventory(h); inv.Components[0].ImageRef != ref || r.Code(h, "c") != ref {
			t.Errorf("a no-op changed the image: %+v", inv.Components)
		}
		// "When the internal update does run it replaces annotations with {}, so ownership annotations are lost."
		r.told()
		r.want("component.scale."+h, scaleBody(h, 1, `"component_ref":"new","allow_update":true`), notice(true))
		r.wantTold("scaled c "+ref+" 1 map[a:1]", "scaled c new 1 map[]", "scaled c new 0 map[]")
		if r.Code(h, "c") != "new" {
			t.Errorf("the code is %s", r.Code(h, "c"))
		}
		// "If the scale part re-instantiates …, the host records the new ref while still running the old code. With
		// allow_update the following update then sees "ref already equal" and does nothing".
		answers := r.send("component.scale."+h, scaleBody(h, 2, `"component_ref":"newest","allow_update":true`))
		if len(answers) != 1 {
			t.Errorf("answers %v", answers)
		}
		r.wantTold("scaled c new 2 map[]")
		if inv, _ := r.Inventory(h); inv.Components[0].ImageRef != "newest" || r.Code(h, "c") != "new" {
			t.Errorf("inventory %+v, code %s; want newest and new", inv.Components, r.Code(h, "c"))
		}
	})
}

// TestUpdate: replies of §1.2, events of §4.5.
func TestUpdate(t *testing.T) {
	inBubble(t, sim.Config{}, func(r *rig) {
		h := r.Start(sim.Host{})
		body := `{"component_id":"c","new_component_ref":"new","host_id":"` + h + `","annotations":{"b":"2"}}`
		r.want("component.update."+h, body, `{"success":false,"message":"component c not found"}`)
		r.want("component.scale."+h, scaleBody(h, 3, ""), accepted)
		r.told()
		r.want("component.update."+h, body, `{"success":true,"message":"component c updating from `+ref+` to new"}`)
		// "component_scaled (new ref, max) then component_scaled (new ref, 0). ⚠ The trailing 0 event carries the new ref"
		r.wantTold("scaled c new 3 map[b:2]", "scaled c new 0 map[b:2]")
		r.want("component.update."+h, body, `{"success":true,"message":"component c already updated to new"}`)
		// "⚠ failures after the reply emit no event (log only)"
		r.SetFaults(func(f *sim.Faults) { f.Failing["bad"] = "no such image" })
		r.send("component.update."+h, `{"component_id":"c","new_component_ref":"bad","host_id":"`+h+`"}`)
		r.wantTold()
		// "⚠ annotations replaces the stored annotations; omitting it wipes them to {}."
		r.send("component.update."+h, `{"component_id":"c","new_component_ref":"good","host_id":"`+h+`"}`)
		r.wantTold("scaled c good 3 map[]", "scaled c good 0 map[]")
	})
}

// TestScale_Failing: "A scale of an unfetchable image for a component that is not running emits component_scale_failed; for
// a running component a fetch failure is ignored".
func TestScale_Failing(t *testing.T) {
	inBubble(t, sim.Config{FetchDelay: sim.Fixed(30 * ms)}, func(r *rig) {
		h := r.Start(sim.Host{})
		r.SetFaults(func(f *sim.Faults) { f.Failing[ref] = "failed to fetch component: no such image" })
		r.told()
		r.want("component.scale."+h, scaleBody(h, 1, ""), accepted)
		r.wantTold("scale failed c: failed to fetch component: no such image")
		r.ClearFaults()
		r.want("component.scale."+h, scaleBody(h, 1, ""), accepted)
		r.told()
		r.SetFaults(func(f *sim.Faults) { f.Failing[ref] = "no such image" })
		r.want("component.scale."+h, scaleBody(h, 2, ""), accepted)
		r.wantTold("scaled c " + ref + " 2 map[a:1]")
	})
}
