package orchestrator

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

const (
	// foreignHost runs what others started and never dies; with it there are six hosts.
	foreignHost = "NFOREIGN"
	stranger    = "stranger-p"
)

var (
	hostNames = []string{"NA", "NB", "NC", "ND", "NE"}
	zones     = []string{"a", "b"}
)

// populate brings up the first hosts, and what others have in the lattice: a component under an id that one of our
// applications wants too, a provider in the name of an application that nobody knows, a link and a configuration.
func (x *trial) populate() {
	x.begin(foreignHost, "none")
	x.bus.PlaceComponent(foreignHost, lattice.ComponentDescription{ID: "app1-c", ImageRef: "x", MaxInstances: 3})
	x.bus.PlaceProvider(foreignHost, lattice.ProviderDescription{ID: stranger, ImageRef: "y", Annotations: map[string]string{
		lattice.AnnotationManagedBy: lattice.ManagedByWadm, lattice.AnnotationAppSpec: "stranger"}})
	x.putForeign()
	for i, id := range hostNames[:3] {
		x.begin(id, zones[i%2])
	}
}

// putForeign stores what others have in the buckets.
func (x *trial) putForeign() {
	x.bus.storeConfig("stranger-config", lattice.Config{"a": "b"})
	x.bus.write(sim.DataBucket, "COMPONENT_"+stranger, lattice.ComponentSpec{Links: []lattice.Link{{SourceID: stranger, Target: "app1-c",
		Name: "default", WitNamespace: "wasi", WitPackage: "http", Interfaces: []string{"incoming-handler"}, SourceConfig: []string{"stranger-config"}}}})
	x.putCommon()
}

// putCommon stores the configuration that applications use and nobody of them brings.
func (x *trial) putCommon() { x.bus.storeConfig("common", lattice.Config{"who": "everybody"}) }

func withHost(do func(*trial, string, *rand.Rand)) func(*trial, *rand.Rand) {
	return func(x *trial, r *rand.Rand) {
		if id := hostNames[r.IntN(len(hostNames))]; x.bus.runs(id) {
			do(x, id, r)
		}
	}
}

// startHost starts a host that is not there.
func startHost(x *trial, r *rand.Rand) {
	if id := hostNames[r.IntN(len(hostNames))]; !x.bus.runs(id) {
		x.begin(id, zones[r.IntN(2)])
	}
}

// reboot lets a host die without a word and start empty under its id.
func reboot(x *trial, id string, r *rand.Rand) {
	x.bus.Kill(id)
	x.pass(time.Duration(r.IntN(3)*r.IntN(3000)) * time.Millisecond)
	x.begin(id, zones[r.IntN(2)])
}

// mute cuts a host off from the lattice; it goes on running.
func mute(x *trial, id string, _ *rand.Rand) {
	x.deaf[id] = true
	x.fault("mute "+id, true, func() { x.bus.Mute(id, true) }, func() { x.bus.Mute(id, false) })
}

// hold keeps back all that a host sends.
func hold(x *trial, id string, _ *rand.Rand) {
	x.deaf[id] = true
	x.fault("hold "+id, true, func() { x.bus.Hold(id, true) }, func() { x.bus.Hold(id, false) })
}

// label changes the zone of a host, if it hears of it.
func (x *trial) label(id, zone string) {
	if x.bus.inventory(id).Labels["zone"] != zone {
		_ = x.bus.other.PutLabel(x.ctx, id, "zone", zone)
	}
}

// meddle is somebody else who stops or scales something of ours.
func meddle(x *trial, id string, r *rand.Rand) {
	inv := x.bus.inventory(id)
	switch {
	case len(inv.Components) > 0 && r.IntN(2) == 0:
		c := inv.Components[r.IntN(len(inv.Components))]
		_, _ = x.bus.other.ScaleComponent(x.ctx, lattice.ScaleComponent{ComponentID: c.ID, ComponentRef: c.ImageRef, HostID: id,
			Count: uint32(r.IntN(3)), Annotations: c.Annotations, Config: x.bus.ConfigOf(id, c.ID)}) // a host may refuse
	case len(inv.Providers) > 0:
		_ = x.bus.other.StopProvider(x.ctx, id, inv.Providers[r.IntN(len(inv.Providers))].ID) // the same
	}
}

// flap stops providers again and again for a while.
func flap(x *trial, r *rand.Rand) {
	for range 6 {
		id := hostNames[r.IntN(len(hostNames))]
		for _, p := range x.bus.inventory(id).Providers {
			_ = x.bus.other.StopProvider(x.ctx, id, p.ID) // it may be gone
		}
		x.pass(3 * time.Second)
	}
}

// badImage makes an image fail, or lets it start again.
func badImage(x *trial, r *rand.Rand) {
	image := fmt.Sprintf("i:%d", r.IntN(3))
	x.fault("image "+image, false, func() { x.bus.failing.put(image, "no such image") }, func() { x.bus.failing.put(image, "") })
}

// slow lets answers and events take their time.
func slow(x *trial, r *rand.Rand) {
	set := func(d time.Duration) func() {
		return func() {
			x.bus.SetFaults(func(f *sim.Faults) { f.DelayReply, f.DelayEvent = sim.Fixed(d), sim.Fixed(d) })
		}
	}
	x.fault("slow", true, set(time.Duration(r.IntN(1500))*time.Millisecond), set(0))
}

// outage is JetStream's: hosts can't store, and watches stand still.
func outage(x *trial, _ *rand.Rand) {
	x.fault("outage", true, func() { x.bus.SetBucketsDown(true) }, func() { x.bus.SetBucketsDown(false) })
}

// wipe loses the buckets of the lattice; what others had in them is put again.
func wipe(x *trial, _ *rand.Rand) {
	x.wiped = true
	x.bus.wipe()
	x.putForeign()
}

// toggleCommon deletes or puts the configuration that applications use and nobody of them brings.
func toggleCommon(x *trial, _ *rand.Rand) {
	if _, ok := x.bus.configs()["common"]; ok {
		_ = x.bus.buckets.Purge(sim.ConfigBucket, "common") // it fails in an outage
		return
	}
	x.putCommon()
}

// begin starts a host in a pod of its own.
func (x *trial) begin(id, zone string) {
	x.pods++
	x.bus.start(id, map[string]string{"zone": zone, "pod": fmt.Sprint("pod-", x.pods)})
}
