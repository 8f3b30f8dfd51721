package exposure

import (
	"fmt"
	"slices"
	"strings"
)

// allPorts returns the ports of the application, in the order of the manifest: those that policies list, and those of
// its other HTTP servers.
func allPorts(app *Application, view View) ([]port, error) {
	var out []port
	for _, p := range app.Providers {
		var found []port
		if isHTTPServer(p.Image) {
			var err error
			if found, err = portsOf(p, view); err != nil {
				return nil, err
			}
		}
		if app.Policy != nil && app.Policy.Declared[p.Component] {
			found = declared(app, p, found)
		}
		out = append(out, found...)
	}
	return out, nil
}

// declared returns the ports that policies list for a provider. Those of an HTTP server are what its links open.
func declared(app *Application, p Provider, found []port) []port {
	var out []port
	for _, want := range app.Policy.Ports {
		if want.Component != p.Component {
			continue
		}
		at := port{provider: p.ID, number: want.TargetPort}
		if isHTTPServer(p.Image) {
			at.http, at.closed = true, true
			if i := slices.IndexFunc(found, func(f port) bool { return f.number == want.TargetPort && f.protocol == want.Protocol }); i >= 0 {
				at = found[i]
			}
		}
		at.declared, at.front, at.protocol, at.name = true, want.Port, want.Protocol, want.Name
		at.appProtocol = orDefault(want.AppProtocol, at.appProtocol)
		out = append(out, at)
	}
	return out
}

// frontPort is what makes a port of a Service one.
type frontPort struct {
	number   uint16
	protocol string
}

// arrange gives every port that is reachable a name, and returns what the Service shows. Several providers may serve one
// port on different hosts; the error says which ones can't.
func arrange(ports []port) (reachable []port, fronts []served, err error) {
	at := map[frontPort]int{}
	taken := map[string]bool{}
	for _, p := range ports {
		taken[p.name] = true
	}
	for _, p := range ports {
		if p.loopback {
			continue
		}
		key := frontPort{p.front, string(p.protocol)}
		i, shared := at[key]
		if shared {
			if p.declared || fronts[i].declared || fronts[i].number != p.number {
				return nil, nil, fmt.Errorf("two providers want %s port %d of the Service: list the ports of both in a policy, each with a port of its own", p.protocol, p.front)
			}
			p.name = fronts[i].name
		} else {
			p.name = nameOf(p, taken)
			taken[p.name] = true
			at[key] = len(fronts)
			fronts = append(fronts, served{name: p.name, number: p.number, front: p.front, protocol: p.protocol,
				appProtocol: p.appProtocol, declared: p.declared})
		}
		reachable = append(reachable, p)
	}
	return reachable, fronts, nil
}

// nameOf names a port as wasmCloud's operator did, where no policy does: the first of HTTP is http.
func nameOf(p port, taken map[string]bool) string {
	if p.name != "" {
		return p.name
	}
	if p.http && !taken["http"] {
		return "http"
	}
	prefix := strings.ToLower(string(p.protocol))
	if p.http {
		prefix = "http"
	}
	name := fmt.Sprintf("%s-%d", prefix, p.front)
	for taken[name] {
		name = "x-" + name
	}
	return name
}
