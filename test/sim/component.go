package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// component is one that runs.
type component struct {
	id string
	// ref is what the host says, code what it really runs: after some scale commands they differ.
	ref, code   string
	annotations map[string]string
	max         uint32
	limits      map[string]string
	// config are the names without those of secrets, as hosts keep them.
	config []string
	signed *claims
}

func (c *component) description() lattice.ComponentDescription {
	d := lattice.ComponentDescription{ID: c.id, ImageRef: c.ref, MaxInstances: c.max, Limits: c.limits,
		Annotations: maps.Clone(c.annotations)}
	if c.signed != nil {
		d.Name, d.Revision = c.signed.name, c.signed.revision
	}
	return d
}

// scale answers at once and goes to work.
func (h *host) scale(r *request) {
	cmd, ok := decode[lattice.ScaleComponent](h, r, lattice.MessageBadComponentScale)
	if !ok {
		return
	}
	notice := ""
	if c := h.components[cmd.ComponentID]; c != nil && c.ref != cmd.ComponentRef {
		notice = lattice.MessageOtherRef(c.ref, cmd.ComponentRef, cmd.AllowUpdate)
	}
	h.accept(r, notice)
	// "The image is fetched on every scale command, even for 0 and for no-ops, before anything else happens."
	h.l.wait(h.l.config.FetchDelay, func() {
		h.alone(cmd.ComponentID, func(done func()) { h.scaleNow(cmd, notice, done) })
	}, "fetch", h.id, r.key, string(r.data))
}

// alone does something with a component when nothing else is at work on it.
func (h *host) alone(id string, do func(done func())) {
	if h.dead {
		return
	}
	if waiting, busy := h.busy[id]; busy {
		h.busy[id] = append(waiting, func() { do(func() { h.next(id) }) })
		return
	}
	h.busy[id] = nil
	do(func() { h.next(id) })
}

func (h *host) next(id string) {
	waiting := h.busy[id]
	if len(waiting) == 0 || h.dead {
		delete(h.busy, id)
		return
	}
	h.busy[id] = waiting[1:]
	waiting[0]()
}

// scaleNow is the decision table of hosts.
func (h *host) scaleNow(cmd lattice.ScaleComponent, notice string, done func()) {
	if h.dead {
		return
	}
	c := h.components[cmd.ComponentID]
	switch {
	case c == nil && cmd.Count == 0:
		h.scaled(&component{id: cmd.ComponentID, ref: cmd.ComponentRef, annotations: cmd.Annotations}, cmd.HostID, 0)
		done()
	case c == nil:
		if reason := h.l.failure(h.id, cmd.ComponentID, cmd.ComponentRef); reason != "" {
			h.scaleFailed(cmd, reason)
			done()
			return
		}
		h.startComponent(cmd, done)
	case cmd.Count == 0:
		delete(h.components, c.id)
		h.scaled(c, cmd.HostID, 0)
		done()
	case cmd.Count == c.max && slices.Equal(cmd.Config, c.config):
		h.scaled(c, cmd.HostID, c.max)
		h.updateAfter(c, cmd, notice, done)
	default:
		h.reinstantiate(c, cmd, notice, done)
	}
}

// startComponent is the first start: the event comes twice.
func (h *host) startComponent(cmd lattice.ScaleComponent, done func()) {
	c := &component{id: cmd.ComponentID}
	c.take(cmd)
	c.ref, c.code = cmd.ComponentRef, cmd.ComponentRef
	c.signed = h.l.componentClaims(c.ref)
	h.l.needConfigs(cmd.Config, func(reason string) {
		if reason != "" {
			h.fail(cmd, reason, done)
			return
		}
		h.l.storeSpec(h, c.id, c.ref, c.signed, func(err error) {
			if err != nil {
				h.fail(cmd, "failed to store component specification: "+err.Error(), done)
				return
			}
			h.l.wait(h.l.config.StartDelay, func() {
				if h.dead {
					return
				}
				h.components[c.id] = c
				h.scaled(c, h.id, c.max)
				h.scaled(c, cmd.HostID, c.max)
				done()
			}, "start", h.id, c.id, c.ref)
		})
	})
}

func (h *host) fail(cmd lattice.ScaleComponent, reason string, done func()) {
	if h.dead {
		return
	}
	h.scaleFailed(cmd, reason)
	done()
}

// reinstantiate runs the code that is loaded with what the command says, and records the command's reference.
func (h *host) reinstantiate(c *component, cmd lattice.ScaleComponent, notice string, done func()) {
	need := cmd.Config
	if slices.Equal(cmd.Config, c.config) {
		need = nil
	}
	h.l.needConfigs(need, func(reason string) {
		if reason != "" {
			h.fail(cmd, reason, done)
			return
		}
		h.l.wait(h.l.config.StartDelay, func() {
			if h.dead {
				return
			}
			before := *c
			c.take(cmd)
			c.ref = cmd.ComponentRef
			// "the event reports the annotations and image ref that were stored before the request"
			h.scaled(&before, cmd.HostID, c.max)
			h.updateAfter(c, cmd, notice, done)
		}, "start", h.id, c.id, cmd.ComponentRef)
	})
}

// updateAfter is the update inside a scale command with allow_update: without annotations, and not at all when the scale
// part has recorded the new reference already.
func (h *host) updateAfter(c *component, cmd lattice.ScaleComponent, notice string, done func()) {
	if notice == "" || !cmd.AllowUpdate {
		done()
		return
	}
	h.updateNow(c, lattice.UpdateComponent{ComponentID: c.id, NewComponentRef: cmd.ComponentRef, HostID: cmd.HostID}, done)
}

// update checks that the component runs, answers, and goes to work.
func (h *host) update(r *request) {
	cmd, ok := decode[lattice.UpdateComponent](h, r, lattice.MessageBadComponentUpdate)
	if !ok {
		return
	}
	c := h.components[cmd.ComponentID]
	switch {
	case c == nil:
		h.refuse(r, lattice.MessageComponentAbsent(cmd.ComponentID))
		return
	case c.ref == cmd.NewComponentRef:
		h.accept(r, lattice.MessageAlreadyUpdated(c.id, c.ref))
		return
	}
	h.accept(r, lattice.MessageUpdating(c.id, c.ref, cmd.NewComponentRef))
	h.l.wait(h.l.config.FetchDelay, func() {
		h.alone(c.id, func(done func()) { h.updateNow(h.components[c.id], cmd, done) })
	}, "fetch", h.id, r.key, string(r.data))
}

// updateNow changes the image. What fails is not reported: hosts only log it.
func (h *host) updateNow(c *component, cmd lattice.UpdateComponent, done func()) {
	if h.dead {
		return
	}
	if c == nil || c.ref == cmd.NewComponentRef || h.l.failure(h.id, c.id, cmd.NewComponentRef) != "" {
		done()
		return
	}
	h.l.wait(h.l.config.StartDelay, func() {
		if h.dead {
			return
		}
		c.ref, c.code, c.annotations = cmd.NewComponentRef, cmd.NewComponentRef, maps.Clone(cmd.Annotations)
		c.signed = h.l.componentClaims(c.ref)
		h.scaled(c, h.id, c.max)
		// "The trailing 0 event carries the new ref and the new annotations although it is meant to announce the end of
		// the old version."
		h.scaled(c, h.id, 0)
		done()
	}, "start", h.id, c.id, cmd.NewComponentRef)
}

// take is what a start or a re-instantiation takes from the command.
func (c *component) take(cmd lattice.ScaleComponent) {
	c.max, c.annotations, c.limits = cmd.Count, maps.Clone(cmd.Annotations), limitsOf(cmd.Limits)
	c.config = slices.DeleteFunc(slices.Clone([]string(cmd.Config)), lattice.IsSecret)
}

// limitsOf keeps the limits that can be read; nil when none were given.
func limitsOf(given map[string]string) map[string]string {
	if given == nil {
		return nil
	}
	limits := map[string]string{}
	for _, name := range []string{lattice.LimitMaxMemory, lattice.LimitMaxExecutionTime} {
		if _, err := strconv.ParseUint(given[name], 10, 64); err == nil {
			limits[name] = given[name]
		}
	}
	return limits
}

func (h *host) scaled(c *component, hostID string, count uint32) {
	e := lattice.ComponentScaled{ComponentID: c.id, HostID: hostID, ImageRef: c.ref, MaxInstances: count,
		Annotations: maps.Clone(c.annotations)}
	if c.signed != nil {
		e.PublicKey, e.Claims = c.signed.subject, c.signed.event()
	}
	h.emit(e)
}

func (h *host) scaleFailed(cmd lattice.ScaleComponent, reason string) {
	h.emit(lattice.ComponentScaleFailed{ComponentID: cmd.ComponentID, HostID: cmd.HostID, ImageRef: cmd.ComponentRef,
		MaxInstances: cmd.Count, Annotations: maps.Clone(cmd.Annotations), Error: reason})
}

// needConfigs says which named configuration is missing, in the words of the failure event; empty when none is.
func (l *Lattice) needConfigs(names []string, then func(reason string)) {
	if len(names) == 0 {
		then("")
		return
	}
	reason := ""
	l.io(func(b Buckets) error {
		for _, name := range names {
			_, found, err := b.Get(ConfigBucket, name)
			if err != nil {
				return err
			}
			if !found {
				reason = fmt.Sprintf("%s: Config %s does not exist", lattice.ReasonFailedConfig, name)
				return nil
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			reason = lattice.ReasonFailedConfig + ": " + err.Error()
		}
		then(reason)
	})
}
