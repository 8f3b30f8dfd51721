package sim

import (
	"maps"
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// provider is one that runs.
type provider struct {
	h           *host
	id          string
	ref         string // without its scheme
	annotations map[string]string
	config      []string
	builtin     bool
	signed      *claims
	healthy     bool
	checked     bool
	// told are the links that its host has given it, as the host knows them.
	told map[appliedKey]lattice.Link
	// applied are the links that it took.
	applied map[appliedKey]AppliedLink
}

func (p *provider) description() lattice.ProviderDescription {
	d := lattice.ProviderDescription{ID: p.id, ImageRef: p.ref, Annotations: maps.Clone(p.annotations)}
	if p.signed != nil {
		d.Name, d.Revision = p.signed.name, p.signed.revision
	}
	return d
}

var builtins = []string{lattice.BuiltinHTTPServer, lattice.BuiltinHTTPClient, lattice.BuiltinMessagingNATS}

func (h *host) startProvider(r *request) {
	cmd, ok := decode[lattice.StartProvider](h, r, lattice.MessageBadProviderStart)
	if !ok {
		return
	}
	missing := lattice.IsBuiltin(cmd.ProviderRef) && (h.l.config.NoBuiltins || !slices.Contains(builtins, cmd.ProviderRef))
	switch {
	case h.providers[cmd.ProviderID] != nil:
		h.refuse(r, lattice.MessageProviderRunning)
		return
	case missing && cmd.ProviderRef != lattice.BuiltinHTTPClient:
		return // "gets no reply at all (requester times out) and no event"
	}
	h.accept(r, lattice.MessageProviderStarted)
	if missing {
		h.providerFailed(cmd, "feature `builtin-http-client` is not enabled, denying start")
		return
	}
	h.l.wait(h.l.config.FetchDelay, func() {
		h.alone("provider "+cmd.ProviderID, func(done func()) { h.startProviderNow(cmd, done) })
	}, "fetch", h.id, r.key, string(r.data))
}

func (h *host) startProviderNow(cmd lattice.StartProvider, done func()) {
	fail := func(reason string) {
		if !h.dead {
			h.providerFailed(cmd, reason)
			done()
		}
	}
	if h.providers[cmd.ProviderID] != nil {
		fail("provider is already running with that ID")
		return
	}
	if reason := h.l.failure(h.id, cmd.ProviderID, cmd.ProviderRef); reason != "" {
		fail(reason)
		return
	}
	p := &provider{h: h, id: cmd.ProviderID, ref: lattice.NormalizeProviderRef(cmd.ProviderRef),
		annotations: maps.Clone(cmd.Annotations), config: slices.Clone([]string(cmd.Config)),
		builtin: lattice.IsBuiltin(cmd.ProviderRef), told: map[appliedKey]lattice.Link{}, applied: map[appliedKey]AppliedLink{}}
	if !p.builtin {
		p.signed = h.l.claimsOf('V', p.ref)
	}
	h.l.needConfigs(cmd.Config, func(reason string) {
		if reason != "" {
			fail(reason)
			return
		}
		h.l.storeSpec(h, p.id, p.ref, p.signed, func(err error) {
			if err != nil {
				fail("failed to store provider specification: " + err.Error())
				return
			}
			h.l.wait(h.l.config.StartDelay, func() {
				if !h.dead {
					h.run(p)
					done()
				}
			}, "start", h.id, p.id, p.ref)
		})
	})
}

// run is the provider's process: it gets the links that are there, and is asked for its health.
func (h *host) run(p *provider) {
	h.providers[p.id] = p
	if h.l.providers[p.id] == nil {
		h.l.providers[p.id] = map[*host]*provider{}
	}
	h.l.providers[p.id][h] = p
	h.l.tellAll(p)
	e := lattice.ProviderStarted{HostID: h.id, ImageRef: p.ref, ProviderID: p.id, Annotations: maps.Clone(p.annotations)}
	if p.signed != nil {
		e.Claims, e.InstanceID, e.PublicKey, e.LinkName = p.signed.event(), p.id, p.id, lattice.DefaultLinkName
	}
	h.emit(e)
	if !p.builtin && h.l.config.HealthFirst > 0 {
		h.l.after(h.l.config.HealthFirst, func() { h.check(p) })
	}
}

// check asks a provider for its health: the first healthy answer passes, then only changes are told.
func (h *host) check(p *provider) {
	if h.dead || h.providers[p.id] != p {
		return
	}
	healthy := !h.l.faults.Flapping[p.id] || !p.checked || !p.healthy
	switch {
	case healthy && !p.healthy:
		h.emit(lattice.HealthCheckPassed{HostID: h.id, ProviderID: p.id})
	case !healthy && p.healthy:
		h.emit(lattice.HealthCheckFailed{HostID: h.id, ProviderID: p.id})
	default:
		h.emit(lattice.HealthCheckStatus{HostID: h.id, ProviderID: p.id})
	}
	p.healthy, p.checked = healthy, true
	h.l.after(h.l.config.HealthEvery, func() { h.check(p) })
}

func (h *host) providerFailed(cmd lattice.StartProvider, reason string) {
	h.emit(lattice.ProviderStartFailed{ProviderRef: cmd.ProviderRef, ProviderID: cmd.ProviderID, HostID: cmd.HostID,
		Error: reason, LinkName: lattice.DefaultLinkName})
}

// stopProvider answers when the provider has stopped, after its event.
func (h *host) stopProvider(r *request) {
	cmd, ok := decode[lattice.StopProvider](h, r, lattice.MessageBadProviderStop)
	if !ok {
		return
	}
	p := h.providers[cmd.ProviderID]
	if p == nil {
		h.refuse(r, lattice.MessageProviderAbsent)
		return
	}
	delete(h.providers, p.id)
	h.l.forget(p)
	takes := h.l.config.StopDelay
	if cmd.HostID != h.id {
		takes = Fixed(shutdownDelay) // the provider takes it for another's, and is killed
	}
	h.l.wait(takes, func() {
		if h.dead {
			return
		}
		h.emit(lattice.ProviderStopped{HostID: h.id, ProviderID: p.id, Annotations: maps.Clone(p.annotations), Reason: "stop",
			InstanceID: p.id, PublicKey: p.id, LinkName: lattice.DefaultLinkName})
		h.accept(r, lattice.MessageProviderStopped)
	}, "stop", h.id, p.id)
}

// forget takes a provider that ends out of the index.
func (l *Lattice) forget(p *provider) {
	delete(l.providers[p.id], p.h)
	if len(l.providers[p.id]) == 0 {
		delete(l.providers, p.id)
	}
}
