package orchestrator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// expectation is what must be in the lattice at the end of a history, worked out from the manifests alone.
type expectation struct {
	counts  map[string]int
	images  map[string]string
	links   map[string]manifest.Link
	configs map[string]map[string]string
	// waiting are applications that cannot be complete: nothing of their earlier versions needs to be gone.
	waiting map[string]bool
	strict  bool
	// found is what is not as expected.
	found []violation
}

func (e *expectation) miss(i invariant, format string, args ...any) {
	e.found = append(e.found, violation{i, fmt.Sprintf(format, args...)})
}

// leave says whether the store forgot something of an application, which may stay for good.
func (e *expectation) leave(x *trial, application string) bool {
	return x.forgotten[application] && !e.strict
}

// waits says whether an application cannot be complete; it goes on trying for some time.
func (e *expectation) waits(application string) bool { return e.waiting[application] && !e.strict }

// deployedModel is what should run of an application.
func (x *trial) deployedModel(app *v1beta1.Application) *manifest.Model {
	d := manifest.Deployed(app.Annotations)
	if d.Undeployed {
		return &manifest.Model{Name: app.Name}
	}
	if d.Version != "" && d.Version != app.Status.Version {
		for _, r := range x.api.revisions[keyOf(app)] {
			if r.Version == d.Version {
				return manifest.Parse(app.Name, &r.Spec)
			}
		}
	}
	return manifest.Parse(app.Name, &app.Spec)
}

func (x *trial) expect() *expectation {
	e := &expectation{counts: map[string]int{}, images: map[string]string{}, links: map[string]manifest.Link{},
		configs: map[string]map[string]string{}, waiting: map[string]bool{}}
	models := map[string]*manifest.Model{}
	for k, app := range x.api.apps {
		models[k.name] = x.deployedModel(app)
	}
	for name, m := range models {
		for _, c := range m.Components {
			switch {
			case c.Shared != nil:
				other := models[c.Shared.Application]
				e.waiting[name] = other == nil || other.Component(c.Shared.Component) == nil || other.Component(c.Shared.Component).Scaler == nil
			case c.Scaler != nil:
				e.counts[c.ID], e.images[c.ID] = x.instancesOf(&c), c.Image
			}
		}
		for _, l := range m.Links {
			e.links[linkName(lattice.LinkKey{SourceID: l.Source, Name: l.Name, WitNamespace: l.Namespace, WitPackage: l.Package})] = l
		}
		for _, c := range m.Configs {
			e.configs[c.Name] = c.Values
		}
	}
	return e
}

// instancesOf is how many should run over all hosts.
func (x *trial) instancesOf(c *manifest.Component) (n int) {
	for _, sp := range c.Scaler.Spreads {
		hosts := 0
		for _, id := range x.bus.Hosts() {
			if sp.Matches(x.bus.inventory(id).Labels) {
				hosts++
			}
		}
		if c.Scaler.Daemon {
			n += hosts * int(sp.Instances)
		} else {
			n += int(sp.Instances)
		}
	}
	return n
}

// differences compares the lattice with what the applications say, and returns what is not so. What nobody can know to
// be left over counts only where strict.
func (x *trial) differences(strict bool) []violation {
	x.api.mu.Lock()
	defer x.api.mu.Unlock()
	e := x.expect()
	e.strict = strict
	for k, app := range x.api.apps {
		want := v1beta1.PhaseDeployed
		if manifest.Deployed(app.Annotations).Undeployed {
			want = v1beta1.PhaseUndeployed
		}
		if app.Status.Phase != want && !e.waits(k.name) && !(e.leave(x, k.name) && want == v1beta1.PhaseUndeployed) {
			e.miss(converges, "%s is %s: %s", k.name, app.Status.Phase, message(app))
		}
	}
	for id, r := range x.api.records {
		// A link that was forgotten may go on using a configuration.
		if !e.waits(r.Application) && !e.leave(x, r.Application) {
			e.miss(converges, "teardown record %s is left: %v", id, r)
		}
	}
	x.checkRunning(e)
	x.checkLinks(e)
	x.checkConfigs(e)
	x.checkForeign(e)
	return e.found
}

func (x *trial) checkRunning(e *expectation) {
	counts := map[string]int{}
	for _, id := range x.bus.Hosts() {
		inv := x.bus.inventory(id)
		for _, c := range inv.Components {
			x.checkInstance(e, id, c.ID, c.ImageRef, c.Annotations)
			if code := x.bus.Code(id, c.ID); code != c.ImageRef {
				e.miss(converges, "%s on %s is called %s and is %s", c.ID, id, c.ImageRef, code)
			}
			if len(c.Annotations) > 0 {
				counts[c.ID] += int(c.MaxInstances)
			}
		}
		for _, p := range inv.Providers {
			x.checkInstance(e, id, p.ID, p.ImageRef, p.Annotations)
			counts[p.ID]++
		}
	}
	for id, want := range e.counts {
		if counts[id] != want {
			e.miss(converges, "%s runs %d times, not %d", id, counts[id], want)
		}
	}
}

// checkInstance: whatever runs is wanted in its image, or nobody may end it.
func (x *trial) checkInstance(e *expectation, host, id, image string, annotations map[string]string) {
	owner := annotations[lattice.AnnotationAppSpec]
	_, wanted := e.counts[id]
	live := x.api.apps[appKey{"ns", owner}] != nil
	switch {
	case owner == "" || owner == "stranger":
	case wanted && image != e.images[id] && !e.waits(owner):
		e.miss(converges, "%s on %s runs image %s, not %s", id, host, image, e.images[id])
	case !wanted && !live && x.deaf[host] && x.handedOver() && !e.strict:
	case !wanted && !(e.leave(x, owner) && !live) && !e.waits(owner):
		e.miss(converges, "%s runs on %s and nobody wants it", id, host)
	}
}

func (x *trial) checkLinks(e *expectation) {
	found := map[string]bool{}
	for _, l := range x.bus.storedLinks() {
		name := linkName(l.Key())
		want, ok := e.links[name]
		found[name] = true
		switch {
		case !ok:
			if !x.mayStay(e, x.court.links[name]) {
				e.miss(converges, "link %s to %s is there and nobody wants it", name, l.Target)
			}
		case l.Target != want.Target || !slices.Equal(l.SourceConfig, want.SourceConfig):
			e.miss(converges, "link %s is %v, not %v", name, l, want)
		default:
			x.checkApplied(e, want)
		}
	}
	for name := range e.links {
		if !found[name] {
			e.miss(converges, "link %s is missing", name)
		}
	}
}

// checkApplied: the provider works with what the configurations of the link say now. One whose link was lost with the
// buckets and put again does not hear of it, nor does one on a host that was cut off between a delete and a put.
func (x *trial) checkApplied(e *expectation, want manifest.Link) {
	if x.wiped {
		return
	}
	values := map[string]string{}
	for _, name := range want.SourceConfig {
		maps.Copy(values, e.configs[name])
	}
	for _, host := range x.bus.Hosts() {
		if _, _, runs := instance(x.bus.inventory(host), want.Source); !runs || x.deaf[host] {
			continue
		}
		for _, a := range x.bus.Applied(host, want.Source) {
			if a.Link.Name == want.Name && a.Link.WitPackage == want.Package && !maps.Equal(a.SourceConfig, values) {
				e.miss(converges, "the link of %s on %s works with %v, not with %v", want.Source, host, a.SourceConfig, values)
			}
		}
	}
}

func (x *trial) checkConfigs(e *expectation) {
	stored := x.bus.configs()
	for name, values := range stored {
		want, ok := e.configs[name]
		switch {
		case !ok && !x.mayStay(e, x.court.configs[name]):
			e.miss(converges, "configuration %s is there and nobody wants it", name)
		case ok && !maps.Equal(values, want):
			e.miss(converges, "configuration %s is %v, not %v", name, values, want)
		}
	}
	for name := range e.configs {
		if _, ok := stored[name]; !ok {
			e.miss(converges, "configuration %s is missing", name)
		}
	}
}

// mayStay: it belongs to nobody of ours, or to applications that were forgotten or cannot be complete.
func (x *trial) mayStay(e *expectation, owners map[string]bool) bool {
	for name := range owners {
		if e.leave(x, name) || e.waits(name) {
			return true
		}
	}
	return len(owners) == 0
}

// checkForeign: what others have is there to the end.
func (x *trial) checkForeign(e *expectation) {
	inv := x.bus.inventory(foreignHost)
	component := slices.ContainsFunc(inv.Components, func(c lattice.ComponentDescription) bool {
		return c.ID == "app1-c" && c.MaxInstances == 3 && len(c.Annotations) == 0
	})
	provider := slices.ContainsFunc(inv.Providers, func(p lattice.ProviderDescription) bool { return p.ID == stranger })
	link := slices.ContainsFunc(x.bus.storedLinks(), func(l lattice.Link) bool { return l.SourceID == stranger })
	_, config := x.bus.configs()["stranger-config"]
	if !component || !provider || !config || !link {
		e.miss(ownership, "what somebody else has was touched: %v, link %t, configuration %t", inv, link, config)
	}
}

func message(app *v1beta1.Application) string {
	for _, c := range app.Status.Conditions {
		if c.Type == v1beta1.ConditionDeployed {
			return strings.TrimSpace(c.Reason + ": " + c.Message)
		}
	}
	return "no condition"
}
