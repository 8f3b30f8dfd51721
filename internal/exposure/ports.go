package exposure

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Defaults of the HTTP server provider.
const (
	defaultAddress  = "0.0.0.0:8000"
	builtinProvider = "wasmcloud+builtin://http-server"

	modeAddress = "address"
	modePath    = "path"
	modeHost    = "host"
)

// port is a port that a provider listens on, as the Service shows it.
type port struct {
	provider string
	// http says that links decide what is behind it; otherwise every host that runs the provider serves.
	http bool
	// builtin says that the provider is part of the host and reaches components of its own host only.
	builtin bool
	// number is what the provider listens on, front what the Service shows.
	number, front uint16
	protocol      corev1.Protocol
	// name is empty until it is chosen; appProtocol is a policy's.
	name, appProtocol string
	// declared says that a policy lists it.
	declared bool
	// closed says that no link opens it.
	closed bool
	// loopback says that only the pod itself reaches it.
	loopback bool
	// targets are the components behind it.
	targets []string
}

// isHTTPServer recognises the HTTP server provider by its image, wherever it was mirrored to.
func isHTTPServer(image string) bool {
	if image == builtinProvider {
		return true
	}
	if _, rest, found := strings.Cut(image, "://"); found {
		image = rest
	}
	name := image[strings.LastIndex(image, "/")+1:]
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return strings.HasSuffix(name, "http-server")
}

// portsOf returns the ports of a provider, by number. The error names a configuration that can't be read.
func portsOf(p Provider, view View) ([]port, error) {
	found := ports{provider: p, at: map[uint16]*port{}}
	var links []Link
	for _, l := range view.Links(p.ID) {
		if l.Namespace == "wasi" && l.Package == "http" && slices.Contains(l.Interfaces, "incoming-handler") {
			links = append(links, l)
		}
	}
	if err := found.read(merge(p.Config, view), links, view); err != nil {
		return nil, err
	}
	out := make([]port, 0, len(found.at))
	for _, at := range found.at {
		out = append(out, *at)
	}
	slices.SortFunc(out, func(a, b port) int { return int(a.number) - int(b.number) })
	return out, nil
}

// ports are those of one provider.
type ports struct {
	provider Provider
	at       map[uint16]*port
}

// read follows the provider's own configuration and its links. In the modes path and host there is one listener for all
// links, at the provider's own address and without any link too; builtin providers know the default only.
func (f *ports) read(own map[string]string, links []Link, view View) error {
	builtin := f.provider.Image == builtinProvider
	fallback := orDefault(own["default_address"], defaultAddress)
	switch mode := orDefault(own["routing_mode"], modeAddress); mode {
	case modePath, modeHost:
		listens := listening{address: fallback}
		if !builtin {
			listens = listenerOf(own, fallback)
		}
		var targets []string
		for _, l := range links {
			targets = append(targets, l.Target)
		}
		return f.add(listens, targets...)
	case modeAddress:
		for _, l := range links {
			if err := f.add(listenerOf(merge(l.SourceConfig, view), fallback), l.Target); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("the HTTP server %s has the routing_mode %q, with which it does not start; use address, path or host", f.provider.ID, mode)
	}
}

// add records a listener. Of two on one port the first decides how it listens.
func (f *ports) add(l listening, targets ...string) error {
	parsed, err := netip.ParseAddrPort(l.address)
	if err != nil || parsed.Port() == 0 {
		return fmt.Errorf("the HTTP server %s has the address %q, which is not IP:port; write 0.0.0.0:8080 for port 8080", f.provider.ID, l.address)
	}
	at := f.at[parsed.Port()]
	if at == nil {
		at = &port{provider: f.provider.ID, http: true, builtin: f.provider.Image == builtinProvider, number: parsed.Port(), front: parsed.Port(),
			protocol: corev1.ProtocolTCP, loopback: true}
		if l.tls && !at.builtin {
			at.appProtocol = "https"
		}
		f.at[parsed.Port()] = at
	}
	at.loopback = at.loopback && parsed.Addr().IsLoopback()
	at.targets = append(at.targets, targets...)
	return nil
}
