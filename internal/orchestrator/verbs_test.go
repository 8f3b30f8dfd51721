package orchestrator

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/test/sim"
)

// verb is a kind of step.
type verb struct {
	weight int
	// fault: nothing that a user asks for.
	fault bool
	do    func(x *trial, random *rand.Rand)
}

// verbs are all kinds of steps. A step that makes no sense as things stand does nothing.
var verbs map[string]verb

func init() { //nolint:gochecknoinits // the verbs refer to what reads the table
	verbs = map[string]verb{
		"apply":     {9, false, func(x *trial, r *rand.Rand) { x.put(randomApplication(r)) }},
		"remove":    {2, false, withApp(func(x *trial, app *v1beta1.Application, _ *rand.Rand) { x.remove(app) })},
		"exchange":  {2, false, withApp(exchange)},
		"undeploy":  {2, false, withApp(undeploy)},
		"deploy":    {1, false, withApp(deploy)},
		"roll back": {1, false, withApp(rollBack)},
		"move":      {1, false, withApp(move)},
		"move back": {1, false, moveBack},
		"forget":    {1, true, forget},
		"restore":   {1, true, restore},
		"start":     {3, false, startHost},
		"kill":      {1, true, withHost(func(x *trial, id string, _ *rand.Rand) { x.bus.Kill(id) })},
		"end":       {1, true, withHost(func(x *trial, id string, _ *rand.Rand) { x.bus.Stop(id) })},
		"reboot":    {1, true, withHost(reboot)},
		"hold":      {1, true, withHost(hold)},
		"mute":      {1, true, withHost(mute)},
		"label":     {1, false, withHost(func(x *trial, id string, r *rand.Rand) { x.label(id, zones[r.IntN(2)]) })},
		"meddle":    {1, true, withHost(meddle)},
		"flap":      {1, true, flap},
		"bad image": {1, true, badImage},
		"slow":      {1, true, slow},
		"weather":   {1, true, badWeather},
		"cut":       {1, true, cut},
		"lose":      {2, true, lose},
		"outage":    {1, true, outage},
		"wipe":      {1, true, wipe},
		"broken":    {1, true, breakAPI},
		"unlisted":  {1, true, unlist},
		"process":   {2, true, toggleProcess},
		"lease":     {1, true, loseLease},
		"stall":     {1, true, stall},
		"common":    {1, false, toggleCommon},
		"drain":     {0, false, withHost(func(x *trial, id string, _ *rand.Rand) { x.drain(id) })}, // see insertDrains
	}
}

func withApp(do func(*trial, *v1beta1.Application, *rand.Rand)) func(*trial, *rand.Rand) {
	return func(x *trial, r *rand.Rand) {
		if app := x.app(appNames[r.IntN(len(appNames))]); app != nil {
			do(x, app, r)
		}
	}
}

func (x *trial) remove(app *v1beta1.Application) {
	x.save()
	x.api.remove(app.Namespace, app.Name)
}

// exchange deletes and puts at once, as wash does.
func exchange(x *trial, app *v1beta1.Application, r *rand.Rand) {
	x.remove(app)
	if r.IntN(2) == 0 {
		next := app.DeepCopy()
		next.Status = v1beta1.ApplicationStatus{}
		delete(next.Annotations, v1beta1.DeployedVersionAnnotation) // its versions begin anew
		x.put(next)
		return
	}
	x.put(randomApp(r, app.Name))
}

func undeploy(x *trial, app *v1beta1.Application, r *rand.Rand) {
	x.save()
	name := []string{v1beta1.DeployedVersionAnnotation, v1beta1.WashDeployedVersionAnnotation}[r.IntN(2)]
	x.api.annotate(keyOf(app), map[string]string{name: v1beta1.DeployedNone})
}

// deploy takes every pin away.
func deploy(x *trial, app *v1beta1.Application, _ *rand.Rand) {
	x.save()
	x.api.annotate(keyOf(app), map[string]string{v1beta1.DeployedVersionAnnotation: "", v1beta1.WashDeployedVersionAnnotation: ""})
}

// rollBack pins one of the versions that are kept.
func rollBack(x *trial, app *v1beta1.Application, r *rand.Rand) {
	list, err := fakeRevisions{x.api}.List(x.ctx, app.Namespace, app.Name)
	if err != nil || len(list) == 0 {
		return
	}
	x.save()
	x.api.annotate(keyOf(app), map[string]string{v1beta1.DeployedVersionAnnotation: list[r.IntN(len(list))].Version})
}

func keyOf(app *v1beta1.Application) appKey { return appKey{app.Namespace, app.Name} }

func move(x *trial, app *v1beta1.Application, _ *rand.Rand) {
	x.save()
	x.api.move(keyOf(app))
}

func moveBack(x *trial, _ *rand.Rand) {
	for _, name := range appNames {
		k := appKey{"ns", name}
		if app := x.api.away[k]; app != nil && x.app(name) == nil {
			x.save()
			x.court.declare(name, manifest.Parse(name, &app.Spec))
			x.api.moveBack(k)
			return
		}
	}
}

// forget empties the store, as a lost one that was made again.
func forget(x *trial, _ *rand.Rand) { x.replaceStore(backup{}) }

// restore brings an older state back.
func restore(x *trial, r *rand.Rand) {
	if len(x.backups) > 0 {
		x.replaceStore(x.backups[max(0, len(x.backups)-1-r.IntN(4))])
	}
}

func (x *trial) replaceStore(b backup) {
	now := x.api.backup()
	for k := range now.apps {
		x.forgotten[k.name] = true
		x.court.mu.Lock()
		if x.court.lost[k.name] = b.apps[k] == nil; !x.court.lost[k.name] {
			delete(x.court.lost, k.name)
		}
		x.court.mu.Unlock()
	}
	// What has a record and is forgotten stays too.
	for _, r := range now.records {
		x.forgotten[r.Application] = true
	}
	for k := range b.apps {
		x.forgotten[k.name] = true
	}
	x.api.restore(b)
}

// breakAPI makes writes fail.
func breakAPI(x *trial, _ *rand.Rand) {
	set := func(broken bool) func() {
		return func() {
			x.api.mu.Lock()
			defer x.api.mu.Unlock()
			x.api.broken = broken
		}
	}
	x.fault("broken", false, set(true), set(false))
}

// unlist makes the list of applications unknown.
func unlist(x *trial, _ *rand.Rand) {
	set := func(notSynced bool) func() {
		return func() {
			x.api.mu.Lock()
			defer x.api.mu.Unlock()
			x.api.notSynced = notSynced
		}
	}
	x.fault("unlisted", false, set(true), set(false))
}

// toggleProcess starts or ends one of the two processes.
func toggleProcess(x *trial, r *rand.Rand) {
	if p := x.procs[r.IntN(2)]; p.end == nil {
		x.start(p)
	} else {
		x.stop(p)
	}
}

// loseLease keeps the holder from the key of the lease for a while.
func loseLease(x *trial, r *rand.Rand) {
	term := x.leader().term
	term.setCut(true)
	time.AfterFunc(time.Duration(r.IntN(8000))*time.Millisecond, func() { term.setCut(false) })
}

// stall stops the holder as a frozen machine does: what it sends is stuck, its lease runs out, and then all arrives.
func stall(x *trial, r *rand.Rand) {
	p := x.leader()
	x.fault("stall", true, func() { p.term.setCut(true); p.port.setHeld(true) },
		func() { p.term.setCut(false); p.port.setHeld(false) })
	time.AfterFunc(time.Duration(r.IntN(10_000))*time.Millisecond, func() { p.port.setHeld(false) })
}

// lose loses the next requests, or the answers to them after they took effect.
func lose(x *trial, r *rand.Rand) {
	p, n := x.leader().port, r.IntN(6)+1
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.IntN(3) == 0 {
		p.loseRequests = n
	} else {
		p.loseReplies = n
	}
}

// badWeather loses, doubles and delays events.
func badWeather(x *trial, r *rand.Rand) {
	w := weather{random: rand.New(rand.NewPCG(r.Uint64(), 2)), most: []time.Duration{50 * time.Millisecond, 5 * time.Second, 40 * time.Second}[r.IntN(3)]}
	w.lost, w.twice, w.late = r.IntN(2)*r.IntN(101), r.IntN(2)*r.IntN(101), r.IntN(2)*r.IntN(101)
	set := func(w weather) func() {
		return func() {
			for _, p := range x.procs {
				p.port.mu.Lock()
				p.port.weather = w
				p.port.mu.Unlock()
			}
			x.bus.SetFaults(func(f *sim.Faults) { f.WrongEvent = float64(w.lost+w.twice) / 1000 })
		}
	}
	x.fault("weather", true, set(w), set(weather{}))
}

// cut breaks the connection of one process.
func cut(x *trial, r *rand.Rand) {
	i := r.IntN(2)
	if i == 1 && r.IntN(2) == 0 {
		i = 0
	}
	p := x.procs[i]
	lag := time.Duration(r.IntN(5000)) * time.Millisecond
	lease := r.IntN(2) == 0
	x.fault(fmt.Sprintf("cut %d", i), true, func() {
		p.port.setCut(true, 0)
		p.term.setCut(lease)
	}, func() {
		p.port.setCut(false, lag)
		p.term.setCut(false)
	})
}
