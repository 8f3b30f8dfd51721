package wasmhost

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const httpServerName = "http-server"

// provider is a running HTTP server provider.
type provider struct {
	ref         string
	annotations map[string]string
	server      *httpServer
}

// isHTTPServer recognises the references of the HTTP server, whatever registry or mirror they name.
func isHTTPServer(ref string) bool {
	if lattice.IsBuiltin(ref) {
		return ref == lattice.BuiltinHTTPServer
	}
	repository, _, _ := strings.Cut(lattice.NormalizeProviderRef(ref), "@")
	if i := strings.LastIndex(repository, ":"); i > strings.LastIndex(repository, "/") {
		repository = repository[:i]
	}
	return path.Base(repository) == httpServerName
}

func (h *Host) provider(id string) *provider {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.providers[id]
}

func (h *Host) startProvider(ctx context.Context, _ string, body []byte) (lattice.Reply, bool) {
	command, err := lattice.Decode[lattice.StartProvider](body)
	if err != nil {
		return refused(lattice.MessageBadProviderStart)
	}
	if h.provider(command.ProviderID) != nil {
		return refused(lattice.MessageProviderRunning)
	}
	h.tasks.run("provider "+command.ProviderID, func() {
		if err := h.launch(ctx, command); err != nil && ctx.Err() == nil {
			h.log.Error(err, "A provider could not be started", "provider", command.ProviderID, "image", command.ProviderRef)
			h.emit(lattice.ProviderStartFailed{ProviderID: command.ProviderID, ProviderRef: command.ProviderRef, HostID: h.id,
				Error: err.Error(), LinkName: lattice.DefaultLinkName})
		}
	})
	return accepted(lattice.MessageProviderStarted)
}

func (h *Host) launch(ctx context.Context, command lattice.StartProvider) error {
	id := command.ProviderID
	if !isHTTPServer(command.ProviderRef) {
		if lattice.IsBuiltin(command.ProviderRef) {
			return errFeature
		}
		return errProviderUnknown
	}
	if h.provider(id) != nil {
		return errProviderRunning
	}
	if err := lattice.ValidateID(id); err != nil {
		return err
	}
	config, secretNames := splitNames(command.Config)
	if err := h.data.demand(ctx, config); err != nil {
		return err
	}
	if _, err := h.fetchSecrets(ctx, secretNames, nil, command.Annotations); err != nil {
		return err
	}
	server, err := newHTTPServer(h.data.merged(config), h.serveComponent, &h.closing, h.log.WithValues("provider", id))
	if err != nil {
		return err
	}
	if err := h.record(ctx, id, lattice.NormalizeProviderRef(command.ProviderRef)); err != nil {
		server.stop(ctx)
		return err
	}
	p := &provider{ref: command.ProviderRef, annotations: orEmpty(command.Annotations), server: server}
	h.mu.Lock()
	h.providers[id] = p
	h.mu.Unlock()
	h.emit(h.providerStarted(id, p))
	server.setLinks(h.linksOf(id))
	h.log.Info("A provider runs", "provider", id, "image", command.ProviderRef)
	return nil
}

func (h *Host) providerStarted(id string, p *provider) lattice.ProviderStarted {
	e := lattice.ProviderStarted{HostID: h.id, ProviderID: id, ImageRef: lattice.NormalizeProviderRef(p.ref), Annotations: maps.Clone(p.annotations)}
	if !lattice.IsBuiltin(p.ref) {
		e.InstanceID, e.PublicKey, e.LinkName = id, id, lattice.DefaultLinkName
	}
	return e
}

func (h *Host) stopProvider(_ context.Context, _ string, body []byte) (lattice.Reply, bool) {
	command, err := lattice.Decode[lattice.StopProvider](body)
	if err != nil {
		return refused(lattice.MessageBadProviderStop)
	}
	stopped := make(chan bool, 1)
	h.tasks.run("provider "+command.ProviderID, func() { stopped <- h.end(command.ProviderID) })
	if !<-stopped {
		return refused(lattice.MessageProviderAbsent)
	}
	return accepted(lattice.MessageProviderStopped)
}

func (h *Host) end(id string) bool {
	h.mu.Lock()
	p := h.providers[id]
	delete(h.providers, id)
	h.mu.Unlock()
	if p == nil {
		return false
	}
	// The answer may not take longer than that of upstream's host; requests under way may.
	select {
	case <-p.server.stop(context.Background()):
	case <-time.After(h.config.ProviderShutdown):
	}
	h.emit(lattice.ProviderStopped{HostID: h.id, ProviderID: id, Annotations: maps.Clone(p.annotations), Reason: "stop",
		InstanceID: id, PublicKey: id, LinkName: lattice.DefaultLinkName})
	h.log.Info("A provider was stopped", "provider", id)
	return true
}

// stopProviders closes all ports, for good.
func (h *Host) stopProviders(ctx context.Context) {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.providers))
	clear(h.providers)
	h.mu.Unlock()
	for _, p := range all {
		p.server.stop(ctx)
	}
}

func (h *Host) providerAuction(_ context.Context, _ string, body []byte) (lattice.Reply, bool) {
	a, err := lattice.Decode[lattice.ProviderAuction](body)
	if err != nil {
		return refused(lattice.MessageBadProviderAuction)
	}
	if !h.eligible(a.Constraints) || h.provider(a.ProviderID) != nil || !isHTTPServer(a.ProviderRef) {
		return lattice.Reply{}, false
	}
	return h.answer(lattice.ProviderBid{HostID: h.id, ProviderID: a.ProviderID, ProviderRef: a.ProviderRef, Constraints: a.Constraints})
}

// specChanged gives a provider of this host its links. Their configurations are read now and not again before the
// next revision: a changed configuration reaches the listener when the link is put again, not before.
func (h *Host) specChanged(id string, spec lattice.ComponentSpec) {
	if p := h.provider(id); p != nil {
		p.server.setLinks(h.httpLinks(id, spec.Links))
	}
}

func (h *Host) linksOf(id string) []httpLink {
	h.data.mu.Lock()
	links := h.data.links[id]
	h.data.mu.Unlock()
	return h.httpLinks(id, links)
}

func (h *Host) httpLinks(id string, links []lattice.Link) []httpLink {
	var mine []httpLink
	for _, l := range links {
		if l.WitNamespace != "wasi" || l.WitPackage != "http" || !slices.Contains(l.Interfaces, "incoming-handler") {
			continue
		}
		// The identity is the provider's, and the one that is built in has none.
		_, secretNames := splitNames(slices.Concat(l.SourceConfig, l.TargetConfig))
		if _, err := h.fetchSecrets(context.Background(), secretNames, nil, nil); err != nil {
			h.log.Error(err, "A link was not delivered to its provider", "provider", id, "link", l.Name, "component", l.Target)
			continue
		}
		if _, err := h.data.missing(context.Background(), l.SourceConfig); err != nil {
			h.log.Info("The configuration of a link may be out of date", "provider", id, "link", l.Name, "reason", err.Error())
		}
		mine = append(mine, httpLink{name: l.Name, target: l.Target, settings: h.data.merged(l.SourceConfig)})
	}
	return mine
}
