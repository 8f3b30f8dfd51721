package wasmhost

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

// component is what runs under one id. It is replaced, never changed: requests under way keep what they started with.
type component struct {
	ref         string
	annotations map[string]string
	limits      map[string]string
	config      []string
	secretNames []string                // of references to secrets
	secrets     map[string]secret.Value // by the component's own names
	max         uint32
	code        *heldCode
	permits     chan struct{}
}

func newComponent(code *heldCode, command lattice.ScaleComponent) *component {
	config, secretNames := splitNames(command.Config)
	return &component{
		ref: command.ComponentRef, annotations: orEmpty(command.Annotations), limits: command.Limits,
		config: config, secretNames: secretNames, max: command.Count, code: code,
		permits: make(chan struct{}, command.Count),
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

func (h *Host) component(id string) *component {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.components[id]
}

// use returns a component for a request, or nil; what it runs stays until the request says code.done.
func (h *Host) use(id string) *component {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.components[id]
	if c != nil {
		c.code.use()
	}
	return c
}

// scaleComponent answers at once; what came of it is told by an event.
func (h *Host) scaleComponent(ctx context.Context, _ string, body []byte) (lattice.Reply, bool) {
	command, err := lattice.Decode[lattice.ScaleComponent](body)
	if err != nil {
		return refused(lattice.MessageBadComponentScale)
	}
	message := ""
	if running := h.component(command.ComponentID); running != nil && running.ref != command.ComponentRef && command.Count > 0 {
		message = lattice.MessageOtherRef(running.ref, command.ComponentRef, command.AllowUpdate)
	}
	h.tasks.run(command.ComponentID, func() {
		if err := h.scale(ctx, command); err != nil && ctx.Err() == nil {
			h.log.Error(err, "A component could not be scaled", "component", command.ComponentID, "image", command.ComponentRef)
			h.emit(lattice.ComponentScaleFailed{ComponentID: command.ComponentID, HostID: h.id, ImageRef: command.ComponentRef,
				Annotations: orEmpty(command.Annotations), MaxInstances: command.Count, Error: err.Error()})
		}
	})
	return accepted(message)
}

// scale follows the table of upstream's host. Where that records a new image while the old code runs on, or loses
// annotations, it does the right thing instead.
func (h *Host) scale(ctx context.Context, command lattice.ScaleComponent) error {
	running := h.component(command.ComponentID)
	switch {
	case running == nil && command.Count == 0:
		h.scaled(command.ComponentID, newComponent(nil, command))
		return nil
	case running == nil:
		return h.start(ctx, command)
	case command.Count == 0:
		h.remove(command.ComponentID)
		stopped := *running
		stopped.max = 0
		h.scaled(command.ComponentID, &stopped)
		return nil
	}
	updating := command.AllowUpdate && command.ComponentRef != running.ref
	next, err := h.rescale(ctx, running, command, updating)
	if err != nil {
		return err
	}
	if next != running {
		h.put(command.ComponentID, next)
	}
	h.scaled(command.ComponentID, next)
	if updating {
		return h.replace(ctx, command.ComponentID, command.ComponentRef, command.Annotations)
	}
	return nil
}

// rescale returns the running component as a command wants it. Secrets are fetched each time a command names some, so
// that sending it again brings new values. If an update follows, it is the new code that must be allowed to have them.
func (h *Host) rescale(ctx context.Context, running *component, command lattice.ScaleComponent, updating bool) (*component, error) {
	command.ComponentRef = running.ref
	next := newComponent(running.code, command)
	if next.max == running.max {
		if len(next.secretNames)+len(running.secretNames) == 0 && slices.Equal(next.config, running.config) {
			return running, nil
		}
		next.permits = running.permits // instances at work count on
	}
	if err := h.data.demand(ctx, next.config); err != nil {
		return nil, err
	}
	if updating {
		next.secrets = running.secrets
		return next, nil
	}
	return next, h.provide(ctx, next)
}

func (h *Host) start(ctx context.Context, command lattice.ScaleComponent) error {
	if h.full() {
		return errTooMany
	}
	if err := lattice.ValidateID(command.ComponentID); err != nil {
		return err
	}
	code, err := h.load(ctx, command.ComponentRef)
	if err != nil {
		return err
	}
	c := newComponent(code, command)
	err = h.data.demand(ctx, c.config)
	if err == nil {
		err = h.provide(ctx, c)
	}
	if err == nil {
		err = h.recordClaims(ctx, code.token)
	}
	if err == nil {
		err = h.record(ctx, command.ComponentID, command.ComponentRef)
	}
	if err != nil {
		code.Close()
		return err
	}
	h.put(command.ComponentID, c)
	h.log.Info("A component runs", "component", command.ComponentID, "image", command.ComponentRef, "instances", command.Count)
	h.scaled(command.ComponentID, c)
	return nil
}

func (h *Host) load(ctx context.Context, ref string) (*heldCode, error) {
	bytes, err := h.fetch.get(ctx, ref)
	if err != nil {
		return nil, wrap("failed to fetch component", err)
	}
	began := time.Now()
	signed, err := token.Read(bytes, began)
	if err != nil {
		return nil, wrap("failed to read the component's token", err)
	}
	code, err := h.config.Engine.Load(ctx, bytes)
	if err != nil {
		return nil, wrap("failed to initialize component", err)
	}
	h.log.V(1).Info("A component was loaded", "image", ref, "bytes", len(bytes), "took", time.Since(began).String())
	return hold(code, signed), nil
}

// record writes the specification of a first start: the reference is kept for good, links stay as they are.
func (h *Host) record(ctx context.Context, id, ref string) error {
	_, err := h.data.update(ctx, id, func(spec *lattice.ComponentSpec, exists bool) error {
		if !exists {
			spec.URL = ref
		}
		return nil
	})
	return err
}

func (h *Host) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.components) >= h.config.MaxComponents
}

func (h *Host) put(id string, c *component) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.components[id] = c
}

func (h *Host) remove(id string) {
	h.mu.Lock()
	c := h.components[id]
	delete(h.components, id)
	h.mu.Unlock()
	c.code.Close()
	h.log.Info("A component was stopped", "component", id)
}

func (h *Host) scaled(id string, c *component) {
	e := lattice.ComponentScaled{ComponentID: id, HostID: h.id, ImageRef: c.ref, Annotations: maps.Clone(c.annotations), MaxInstances: c.max}
	if c.code != nil {
		e.PublicKey, e.Claims = eventClaims(c.code.token)
	}
	h.emit(e)
}

// updateComponent answers at once. Upstream's host tells nobody but its log of what goes wrong then; this one sends the
// event of a failed scaling, so that the reason shows where users look.
func (h *Host) updateComponent(ctx context.Context, _ string, body []byte) (lattice.Reply, bool) {
	command, err := lattice.Decode[lattice.UpdateComponent](body)
	if err != nil {
		return refused(lattice.MessageBadComponentUpdate)
	}
	id, ref := command.ComponentID, command.NewComponentRef
	running := h.component(id)
	if running == nil {
		return refused(lattice.MessageComponentAbsent(id))
	}
	if running.ref == ref {
		return accepted(lattice.MessageAlreadyUpdated(id, ref))
	}
	h.tasks.run(id, func() {
		if err := h.replace(ctx, id, ref, command.Annotations); err != nil {
			h.log.Error(err, "A component could not be updated; the old code runs on", "component", id, "image", ref)
			h.emit(lattice.ComponentScaleFailed{ComponentID: id, HostID: h.id, ImageRef: ref,
				Annotations: orEmpty(command.Annotations), MaxInstances: running.max, Error: err.Error()})
		}
	})
	return accepted(lattice.MessageUpdating(id, running.ref, ref))
}

// replace changes the code under an id. Upstream announces the end of the old code with a component_scaled to 0 that
// names the new one; this host does not, because a reader would take the component for gone.
func (h *Host) replace(ctx context.Context, id, ref string, annotations map[string]string) error {
	running := h.component(id)
	if running == nil || running.ref == ref {
		return nil
	}
	code, err := h.load(ctx, ref)
	if err != nil {
		return err
	}
	next := newComponent(code, lattice.ScaleComponent{ComponentRef: ref, Annotations: annotations, Limits: running.limits,
		Config: slices.Concat(running.config, running.secretNames), Count: running.max})
	err = h.provide(ctx, next)
	if err == nil {
		err = h.recordClaims(ctx, code.token)
	}
	if err != nil {
		code.Close()
		return err
	}
	h.put(id, next)
	running.code.Close()
	h.log.Info("A component was updated", "component", id, "image", ref)
	h.scaled(id, next)
	return nil
}

func (h *Host) componentAuction(_ context.Context, _ string, body []byte) (lattice.Reply, bool) {
	a, err := lattice.Decode[lattice.ComponentAuction](body)
	if err != nil {
		return refused(lattice.MessageBadComponentAuction)
	}
	if !h.eligible(a.Constraints) || h.component(a.ComponentID) != nil || h.full() {
		return lattice.Reply{}, false
	}
	return h.answer(lattice.ComponentBid{HostID: h.id, ComponentID: a.ComponentID, ComponentRef: a.ComponentRef, Constraints: a.Constraints})
}

// limit reads one of the component's own limits.
func (c *component) limit(name string) (int64, bool) {
	n, err := strconv.ParseInt(c.limits[name], 10, 64)
	return n, err == nil && n > 0
}

// wrap puts the step that failed before the reason, as upstream's events do.
func wrap(step string, err error) error { return &stepError{step, err} }

type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// acquire waits for one of the component's instances.
func (c *component) acquire(ctx context.Context, patience time.Duration) error {
	select {
	case c.permits <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case c.permits <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return errors.Join(errBusy, ctx.Err())
	}
}

func (c *component) release() { <-c.permits }
