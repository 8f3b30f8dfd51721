package orchestrator

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
	"github.com/trellis-operator/trellis/test/sim"
)

// invariant is a name for what must hold in every history.
type invariant string

// The invariants.
const (
	converges  invariant = "converges when faults stop"
	ownership  invariant = "never stops what it does not own or has no record for"
	emptyStore invariant = "an empty or restored store stops nothing"
	rest       invariant = "a converged lattice gets no commands"
	noStorm    invariant = "commands for one item grow with the logarithm of time"
	connection invariant = "after a lost connection it looks before it acts, and deletes nothing for the loss"
	configUse  invariant = "no configuration is deleted while used"
	oneHolder  invariant = "commands are sent under a valid lease only"
	drains     invariant = "nothing begins on a host that drains"
)

// violation is a broken invariant.
type violation struct {
	invariant invariant
	text      string
}

func (v *violation) String() string { return fmt.Sprintf("%s: %s", v.invariant, v.text) }

const (
	// afterglow is how long a decision may take from what was known to the command.
	afterglow = time.Second
	// hindsight is how long after a fault of what is seen something may still be seen wrongly: a heartbeat, and some.
	hindsight = 35 * time.Second
	// atOnce is how many commands for one item a change may need: an item is stopped and started, once for what was under
	// way when it came, once for itself, and what is started gets its number and its image by two more.
	atOnce = 6
)

// court judges every command at the moment it is sent, with the whole truth before it.
type court struct {
	bus   *bus
	api   *api
	ends  *ends
	began time.Time

	mu    sync.Mutex
	found *violation
	// known is when an application of a name, or a record for it, was there last.
	known map[string]time.Time
	// lost are applications that the store forgot.
	lost map[string]bool
	// links and configs that applications of these names have brought, ever.
	links   map[string]map[string]bool
	configs map[string]map[string]bool
	// spell is when the last disturbance was; counts are the commands since, by process, term and item.
	spell  time.Time
	counts map[string]int
	// effective are the commands that were not for what a host runs already.
	effective []string
	// most is the largest share of a bound that was used, in percent.
	most int
	// blurred is until when what is seen may be wrong; blind while a fault of what is seen goes on.
	blurred time.Time
	blind   bool
	// stored are the records of links, and started is when a host was told last to run something.
	stored  map[string]storedSpec
	started map[string]time.Time
}

// storedSpec is a record in the bucket, and when it was written.
type storedSpec struct {
	lattice.ComponentSpec
	at time.Time
}

func newCourt(b *bus, a *api, e *ends) *court {
	c := &court{bus: b, api: a, ends: e, began: time.Now(), known: map[string]time.Time{}, lost: map[string]bool{}, links: map[string]map[string]bool{},
		configs: map[string]map[string]bool{}, counts: map[string]int{},
		stored: map[string]storedSpec{}, started: map[string]time.Time{}}
	a.before = c.remember
	b.mirror.stops = append(b.mirror.stops, mustHave(b.buckets.Watch(sim.DataBucket, c.written)))
	return c
}

// written follows the bucket of links.
func (c *court) written(e sim.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Reset {
		clear(c.stored)
	}
	if spec, err := lattice.Decode[lattice.ComponentSpec](e.Value); err == nil && e.Value != nil {
		c.stored[e.Key] = storedSpec{spec, time.Now()}
	} else if e.Key != "" {
		delete(c.stored, e.Key)
	}
}

// blame notes the first violation.
func (c *court) blame(i invariant, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil {
		c.found = &violation{i, fmt.Sprintf(format, args...) + fmt.Sprintf(" (at %s)", time.Since(c.began).Round(time.Millisecond))}
	}
}

func (c *court) verdict() *violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found
}

// remember notes who is known, before that changes; the API is locked.
func (c *court) remember() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.api.apps {
		c.known[k.name] = time.Now()
	}
	for _, r := range c.api.records {
		c.known[r.Application] = time.Now()
	}
}

// declare notes what an application brings.
func (c *court) declare(name string, m *manifest.Model) {
	c.mu.Lock()
	defer c.mu.Unlock()
	note := func(of map[string]map[string]bool, key string) {
		if of[key] == nil {
			of[key] = map[string]bool{}
		}
		of[key][name] = true
	}
	for _, l := range m.Links {
		note(c.links, linkName(lattice.LinkKey{SourceID: l.Source, Name: l.Name, WitNamespace: l.Namespace, WitPackage: l.Package}))
	}
	for _, x := range m.Configs {
		note(c.configs, x.Name)
	}
}

// disturbed begins a new spell.
func (c *court) disturbed(blind bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.spell, c.counts = now, map[string]int{}
	if c.blind && !blind {
		c.blurred = now.Add(hindsight)
	}
	c.blind = blind
}

// judge looks at a command that is about to be sent.
func (c *court) judge(p *port, cmd scaler.Command) {
	if !p.lease.Valid() {
		c.blame(oneHolder, "%s sends %s of %s without a lease", p.name, cmd.Verb, cmd.Item().ID)
	}
	if !p.hasLooked() && p.Connected() {
		c.blame(connection, "%s sends %s of %s and has not asked hosts since the connection is back", p.name, cmd.Verb, cmd.Item().ID)
	}
	c.judgeRate(p, cmd)
	c.noteEffective(cmd)
	switch cmd.Verb {
	case scaler.Scale, scaler.Update, scaler.StopProvider, scaler.StartProvider:
		c.judgeInstance(cmd)
		c.judgeDrain(cmd)
		c.mu.Lock()
		c.started[cmd.Host+"/"+cmd.ID] = time.Now()
		c.mu.Unlock()
	case scaler.DeleteLink, scaler.PutLink:
		c.judgeWiring(cmd, c.bringers(c.links, linkName(cmd.Link.Key())), cmd.Verb == scaler.DeleteLink)
	case scaler.PutConfig, scaler.DeleteConfig:
		c.judgeWiring(cmd, c.bringers(c.configs, cmd.ID), cmd.Verb == scaler.DeleteConfig)
		if cmd.Verb == scaler.DeleteConfig {
			c.judgeUse(cmd.ID)
		}
	}
}

// noteEffective leaves out numbers that a host has already: to hosts they are nothing, and they take the place of what a
// host does not tell to a process that begins.
func (c *court) noteEffective(cmd scaler.Command) {
	inv := c.bus.inventory(cmd.Host)
	same := slices.ContainsFunc(inv.Components, func(d lattice.ComponentDescription) bool {
		return d.ID == cmd.ID && d.ImageRef == cmd.Image && d.MaxInstances == cmd.Count
	})
	if cmd.Verb == scaler.Scale && same {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.effective = append(c.effective, fmt.Sprint(cmd.Verb, " ", cmd.Item()))
}

// effect returns the commands since the last call that change something.
func (c *court) effect() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.effective
	c.effective = nil
	return out
}

// judgeRate bounds commands: within a spell without any step of a history, one for each change that it may need, and then
// what growing pauses allow.
func (c *court) judgeRate(p *port, cmd scaler.Command) {
	key := fmt.Sprint(p.name, p.lease.number, cmd.Item())
	c.mu.Lock()
	c.counts[key]++
	n, t := c.counts[key], time.Since(c.spell)
	bound := atOnce + 2*bits.Len(uint(t/time.Second))
	c.most = max(c.most, 100*n/bound)
	c.mu.Unlock()
	if n > bound {
		c.blame(noStorm, "%d commands for %v within %s, the last is %s", n, cmd.Item(), t, cmd.Verb)
	}
}

// judgeInstance looks at a command for something that runs.
func (c *court) judgeInstance(cmd scaler.Command) {
	count, annotations, runs := instance(c.bus.inventory(cmd.Host), cmd.ID)
	if !runs || cmd.Verb == scaler.StartProvider {
		return // a host does not start what it has
	}
	owner := ""
	if annotations[lattice.AnnotationManagedBy] == lattice.ManagedByWadm {
		owner = annotations[lattice.AnnotationAppSpec]
	}
	if owner == "" || cmd.Annotations != nil && cmd.Annotations[lattice.AnnotationAppSpec] != owner {
		c.blame(ownership, "%s of %s on %s, which runs for %q", cmd.Verb, cmd.ID, cmd.Host, owner)
		return
	}
	if cmd.Verb == scaler.StopProvider || cmd.Verb == scaler.Scale && cmd.Count < count {
		c.judgeEntitled(cmd, map[string]bool{owner: true})
	}
}

func (c *court) judgeWiring(cmd scaler.Command, owners map[string]bool, ends bool) {
	switch {
	case len(owners) == 0:
		c.blame(ownership, "%s of %s, which no application brought", cmd.Verb, cmd.Item().ID)
	case ends:
		c.judgeEntitled(cmd, owners)
	}
}

// bringers are the applications that ever brought something.
func (c *court) bringers(of map[string]map[string]bool, key string) map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(of[key])
}

// judgeEntitled asks for a live application or a record in whose name something is ended.
func (c *court) judgeEntitled(cmd scaler.Command, owners map[string]bool) {
	c.api.mu.Lock()
	c.remember()
	c.api.mu.Unlock()
	c.mu.Lock()
	broken := ownership
	for name := range owners {
		if at, ok := c.known[name]; ok && time.Since(at) < afterglow {
			c.mu.Unlock()
			return
		}
		if c.lost[name] {
			broken = emptyStore
		}
	}
	c.mu.Unlock()
	c.blame(broken, "%s of %s for nobody who is live or has a record", cmd.Verb, cmd.Item().ID)
}

// judgeDrain looks at what begins on a host that drains. What was hidden from the process does not count.
func (c *court) judgeDrain(cmd scaler.Command) {
	inv := c.bus.inventory(cmd.Host)
	count, _, _ := instance(inv, cmd.ID)
	begins := cmd.Verb == scaler.StartProvider || cmd.Verb == scaler.Update || cmd.Verb == scaler.Scale && cmd.Count > count
	since, draining := c.ends.all()[inv.Labels["pod"]]
	if !begins || !draining || time.Since(since) < afterglow {
		return
	}
	c.mu.Lock()
	hidden := c.blind || time.Now().Before(c.blurred)
	c.mu.Unlock()
	if !hidden {
		c.blame(drains, "%s of %s on %s, which drains for %s", cmd.Verb, cmd.ID, cmd.Host, time.Since(since))
	}
}

// judgeUse looks for users of a configuration that is to be deleted. What was hidden from the process does not count.
func (c *court) judgeUse(name string) {
	c.mu.Lock()
	hidden := c.blind || time.Now().Before(c.blurred)
	c.mu.Unlock()
	if hidden {
		return
	}
	c.mu.Lock()
	stored, started := maps.Clone(c.stored), maps.Clone(c.started)
	c.mu.Unlock()
	for id, spec := range stored {
		if time.Since(spec.at) < afterglow {
			continue
		}
		for _, l := range spec.Links {
			if slices.Contains(l.SourceConfig, name) || slices.Contains(l.TargetConfig, name) {
				c.blame(configUse, "%s is deleted while a link of %s uses it", name, id)
			}
		}
	}
	for _, host := range c.bus.Hosts() {
		for _, id := range idsOf(c.bus.inventory(host)) {
			if slices.Contains(c.bus.ConfigOf(host, id), name) && time.Since(started[host+"/"+id]) > afterglow {
				c.blame(configUse, "%s is deleted while %s on %s uses it", name, id, host)
			}
		}
	}
}

func idsOf(inv lattice.Inventory) (ids []string) {
	for _, c := range inv.Components {
		ids = append(ids, c.ID)
	}
	for _, p := range inv.Providers {
		ids = append(ids, p.ID)
	}
	return ids
}

// instance is what a host runs under an id.
func instance(inv lattice.Inventory, id string) (count uint32, annotations map[string]string, runs bool) {
	for _, c := range inv.Components {
		if c.ID == id {
			return c.MaxInstances, c.Annotations, true
		}
	}
	for _, p := range inv.Providers {
		if p.ID == id {
			return 1, p.Annotations, true
		}
	}
	return 0, nil, false
}
