package scaler_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// world is a lattice of hosts that do what wasmCloud 1.9 does, its faults included; seen is what is observed of it.
type world struct {
	hosts   map[string]*worldHost
	links   map[string][]worldLink
	configs map[string]lattice.Config
	now     time.Time
	seen    *scaler.Lattice
}

type worldHost struct {
	labels     map[string]string
	components map[string]*running
	providers  map[string]*running
	// noUpdate: an old host that does not know the update command.
	noUpdate bool
	// draining: it was said that the host is about to end.
	draining bool
}

// running is a component or provider on a host. Hosts show image; code is what really runs.
type running struct {
	image, code string
	count       uint32
	annotations map[string]string
	config      []string
}

// worldLink remembers what the ends of the link were told: hosts tell them of new links only.
type worldLink struct {
	lattice.Link
	told map[string]lattice.Config
}

func newWorld() *world {
	return &world{
		hosts: map[string]*worldHost{}, links: map[string][]worldLink{}, configs: map[string]lattice.Config{},
		now: time.Unix(1000, 0), seen: scaler.NewLattice(),
	}
}

func (w *world) tick() time.Time {
	w.now = w.now.Add(time.Second)
	return w.now
}

func (w *world) addHost(id string, labels map[string]string) *worldHost {
	h := &worldHost{labels: labels, components: map[string]*running{}, providers: map[string]*running{}}
	w.hosts[id] = h
	w.show(id)
	return h
}

// show observes a host, by its inventory.
func (w *world) show(id string) { w.seen.SetHost(w.inventory(id)) }

func (w *world) inventory(id string) scaler.Host {
	h := w.hosts[id]
	inv := lattice.Inventory{HostID: id, FriendlyName: "host " + id, Labels: maps.Clone(h.labels)}
	for _, c := range slices.Sorted(maps.Keys(h.components)) {
		r := h.components[c]
		inv.Components = append(inv.Components, lattice.ComponentDescription{
			ID: c, ImageRef: r.image, MaxInstances: r.count, Annotations: maps.Clone(r.annotations),
		})
	}
	for _, p := range slices.Sorted(maps.Keys(h.providers)) {
		r := h.providers[p]
		inv.Providers = append(inv.Providers, lattice.ProviderDescription{ID: p, ImageRef: r.image, Annotations: maps.Clone(r.annotations)})
	}
	shown := scaler.HostFromInventory(id, inv)
	shown.Draining = h.draining
	return shown
}

// again observes everything anew, hosts in another order.
func (w *world) again(order func([]string)) *scaler.Lattice {
	seen := scaler.NewLattice()
	ids := slices.Sorted(maps.Keys(w.hosts))
	order(ids)
	for _, id := range ids {
		// What is remembered beside the inventory.
		seen.SetHost(*w.seen.Host(id))
	}
	names := slices.Sorted(maps.Keys(w.configs))
	order(names)
	for _, name := range names {
		seen.SetConfig(name, w.configs[name], time.Time{})
	}
	for source := range w.links {
		seen.SetSpec(source, w.spec(source), time.Time{})
	}
	return seen
}

func (w *world) spec(source string) lattice.ComponentSpec {
	var spec lattice.ComponentSpec
	for _, l := range w.links[source] {
		spec.Links = append(spec.Links, l.Link)
	}
	return spec
}

func (w *world) obey(t *testing.T, c scaler.Command) {
	t.Helper()
	w.tick()
	if err := w.do(c); err != nil {
		t.Errorf("%+v: %v", c, err)
	}
}

func (w *world) do(c scaler.Command) error {
	switch c.Verb {
	case scaler.PutConfig:
		w.putConfig(c.ID, c.Values)
		return nil
	case scaler.DeleteConfig:
		delete(w.configs, c.ID)
		w.seen.RemoveConfig(c.ID)
		return w.unused(c.ID)
	case scaler.PutLink:
		return w.putLink(*c.Link)
	case scaler.DeleteLink:
		source := c.Link.SourceID
		// The first match goes, whatever its target.
		if i := slices.IndexFunc(w.links[source], func(l worldLink) bool { return l.Key() == c.Link.Key() }); i >= 0 {
			w.links[source] = slices.Delete(w.links[source], i, i+1)
		}
		w.seen.SetSpec(source, w.spec(source), w.now)
		return nil
	}
	h := w.hosts[c.Host]
	if h == nil {
		return fmt.Errorf("no such host")
	}
	defer w.show(c.Host)
	switch c.Verb {
	case scaler.StartProvider:
		return w.startProvider(h, c)
	case scaler.StopProvider:
		if h.providers[c.ID] == nil {
			return fmt.Errorf("the provider does not run")
		}
		delete(h.providers, c.ID)
		return nil
	case scaler.Update:
		return w.update(h, c)
	case scaler.Scale:
		return w.scale(h, c)
	default:
		return fmt.Errorf("unknown verb")
	}
}

func (w *world) putConfig(name string, values lattice.Config) {
	w.configs[name] = maps.Clone(values)
	w.seen.SetConfig(name, w.configs[name], w.now)
}

// unused: a configuration must not go before what uses it.
func (w *world) unused(name string) error {
	for _, links := range w.links {
		for _, l := range links {
			if slices.Contains(l.SourceConfig, name) || slices.Contains(l.TargetConfig, name) {
				return fmt.Errorf("a link uses it")
			}
		}
	}
	for _, h := range w.hosts {
		for _, m := range []map[string]*running{h.components, h.providers} {
			for id, r := range m {
				if slices.Contains(r.config, name) {
					return fmt.Errorf("%s was started with it", id)
				}
			}
		}
	}
	return nil
}

func (w *world) present(names []string) error {
	for _, name := range names {
		if _, ok := w.configs[name]; !ok {
			return fmt.Errorf("configuration %s is not there", name)
		}
	}
	return nil
}

func (w *world) putLink(l lattice.Link) error {
	if err := w.present(slices.Concat(l.SourceConfig, l.TargetConfig)); err != nil {
		return err
	}
	links := w.links[l.SourceID]
	for _, o := range links {
		common := slices.ContainsFunc(o.Interfaces, func(i string) bool { return slices.Contains(l.Interfaces, i) })
		if o.Key() == l.Key() && common && o.Target != l.Target {
			return fmt.Errorf("link already exists with different target")
		}
	}
	told := map[string]lattice.Config{}
	for _, name := range slices.Concat(l.SourceConfig, l.TargetConfig) {
		told[name] = maps.Clone(w.configs[name])
	}
	i := slices.IndexFunc(links, func(o worldLink) bool { return o.Key() == l.Key() && o.Target == l.Target })
	if i >= 0 {
		links[i].Link = l // stored, but the ends are not told
	} else {
		links = append(links, worldLink{Link: l, told: told})
	}
	w.links[l.SourceID] = links
	w.seen.SetSpec(l.SourceID, w.spec(l.SourceID), w.now)
	return nil
}

func (w *world) startProvider(h *worldHost, c scaler.Command) error {
	if h.providers[c.ID] != nil {
		return fmt.Errorf("provider with that ID is already running")
	}
	if err := w.present(c.Config); err != nil {
		return err
	}
	ref := lattice.NormalizeProviderRef(c.Image)
	h.providers[c.ID] = &running{image: ref, code: ref, count: 1, annotations: c.Annotations, config: c.Config}
	return nil
}

func (w *world) update(h *worldHost, c scaler.Command) error {
	if h.noUpdate {
		w.seen.MarkNoUpdate(c.Host)
		return nil
	}
	r := h.components[c.ID]
	switch {
	case r == nil:
		return fmt.Errorf("the component does not run")
	case r.image == c.Image:
		return fmt.Errorf("the component runs this image already")
	}
	r.image, r.code, r.annotations = c.Image, c.Image, c.Annotations
	return nil
}

func (w *world) scale(h *worldHost, c scaler.Command) error {
	r := h.components[c.ID]
	switch {
	case c.Count == 0:
		delete(h.components, c.ID)
		return nil
	case r == nil:
		h.components[c.ID] = &running{image: c.Image, code: c.Image, count: c.Count, annotations: c.Annotations, config: c.Config}
		return w.present(c.Config)
	case r.count == c.Count && slices.Equal(r.config, c.Config):
		// Nothing changes, annotations neither; who sent it knows that it was accepted.
		w.seen.Accept(c.Host, c.ID, c.Annotations[lattice.AnnotationScaler])
		return nil
	}
	// The new image is noted, the old code runs on.
	r.image, r.count, r.annotations, r.config = c.Image, c.Count, c.Annotations, c.Config
	return w.present(c.Config)
}

// settle plans and obeys until no command is left, and returns the last outcome and all commands.
func (w *world) settle(t *testing.T, want scaler.Want) (scaler.Outcome, []scaler.Command) {
	t.Helper()
	var all []scaler.Command
	for range 20 {
		out := scaler.Plan(want, w.seen)
		want.Retired = out.Retired
		if len(out.Commands) == 0 {
			return out, all
		}
		for _, c := range out.Commands {
			w.obey(t, c)
		}
		all = append(all, out.Commands...)
	}
	t.Fatalf("no end of commands; the last ones are %+v", all[len(all)-1])
	return scaler.Outcome{}, nil
}

// marks are wadm's annotations.
func marks(application, scalerID, spread string) map[string]string {
	return map[string]string{
		lattice.AnnotationManagedBy: lattice.ManagedByWadm, lattice.AnnotationAppSpec: application,
		lattice.AnnotationScaler: scalerID, lattice.AnnotationSpread: spread,
	}
}
