package policy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Kinds of routes, as in the Gateway API.
const (
	HTTPRoute = "HTTPRoute"
	GRPCRoute = "GRPCRoute"
	TLSRoute  = "TLSRoute"
	TCPRoute  = "TCPRoute"
)

// RouteKinds are those that a policy may ask for.
func RouteKinds() []string { return []string{GRPCRoute, HTTPRoute, TCPRoute, TLSRoute} }

const (
	maxRoutes = 20
	// maxRules, maxParents and maxHosts are the limits of the Gateway API.
	maxRules   = 16
	maxParents = 32
	maxHosts   = 16
)

func (r *reader) routesText(text string) {
	var written []Route
	if !r.decode(text, &written) {
		return
	}
	if len(written)+len(r.settings.Routes) > maxRoutes {
		r.problem("", "the policies ask for more than %d routes; use several applications", maxRoutes)
		return
	}
	for i, route := range written {
		r.route(fmt.Sprintf("[%d]", i), route)
		r.settings.Routes = append(r.settings.Routes, route)
	}
}

func (r *reader) route(at string, route Route) {
	if !slices.Contains(RouteKinds(), route.Kind) {
		r.problem(at+".kind", "%q is unknown; use HTTPRoute, GRPCRoute, TLSRoute or TCPRoute", shorten(route.Kind))
		return
	}
	if route.Name != "" && len(validation.IsDNS1123Label(route.Name)) > 0 {
		r.problem(at+".name", "%q is no name; use up to 63 lower-case letters, digits and -", shorten(route.Name))
	}
	if r.routes[route.Kind+"/"+route.Name] {
		r.problem(at+".name", "two routes of kind %s have the same name %q; give each its own", route.Kind, route.Name)
	}
	r.routes[route.Kind+"/"+route.Name] = true
	r.keys(at+".annotations", route.Annotations, nil, nil)
	r.count(at+".parentRefs", len(route.ParentRefs), maxParents)
	r.count(at+".rules", len(route.Rules), maxRules)
	if len(route.ParentRefs) == 0 {
		r.problem(at+".parentRefs", "a route needs a Gateway; name one, as [{name: public, namespace: gateways}]")
	}
	for i, p := range route.ParentRefs {
		if p.Name == "" {
			r.problem(fmt.Sprintf("%s.parentRefs[%d].name", at, i), "the name of the Gateway is missing; add it")
		}
	}
	if route.Kind == TCPRoute && len(route.Hostnames) > 0 {
		r.problem(at+".hostnames", "TCP knows no host names; remove them or use TLSRoute")
	}
	if route.Kind == TLSRoute && len(route.Hostnames) == 0 {
		r.problem(at+".hostnames", "a TLSRoute is chosen by host name; list at least one")
	}
	r.hostnames(at+".hostnames", route.Hostnames)
	for i, rule := range route.Rules {
		r.rule(fmt.Sprintf("%s.rules[%d]", at, i), route.Kind, rule)
	}
}

func (r *reader) count(field string, n, limit int) {
	if n > limit {
		r.problem(field, "%d entries stand here; Kubernetes takes %d", n, limit)
	}
}

func (r *reader) hostnames(at string, names []string) {
	r.count(at, len(names), maxHosts)
	for i, name := range names {
		if len(validation.IsDNS1123Subdomain(name)) > 0 && len(validation.IsWildcardDNS1123Subdomain(name)) > 0 {
			r.problem(fmt.Sprintf("%s[%d]", at, i), "%q is no host name; write it as shop.example.com or *.example.com", shorten(name))
		}
	}
}

// rule checks what Trellis itself reads of a rule.
func (r *reader) rule(at, kind string, rule Rule) {
	if kind == TCPRoute || kind == TLSRoute {
		if len(rule.Matches)+len(rule.Filters)+len(rule.Timeouts)+len(rule.Retry)+len(rule.SessionPersistence) > 0 {
			r.problem(at, "a rule of a %s has a name and backendRefs only; remove the rest, or use HTTPRoute", kind)
		}
	}
	r.count(at+".backendRefs", len(rule.BackendRefs), maxRules)
	for i, ref := range rule.BackendRefs {
		r.backend(fmt.Sprintf("%s.backendRefs[%d]", at, i), ref)
	}
}

func (r *reader) backend(at string, ref BackendRef) {
	if ref.Port < 0 || ref.Port > 65535 {
		r.problem(at+".port", "%d is no port; use a number from 1 to 65535", ref.Port)
	}
	if ref.Weight != nil && (*ref.Weight < 0 || *ref.Weight > 1_000_000) {
		r.problem(at+".weight", "%d is no weight; use a number from 0 to 1000000", *ref.Weight)
	}
	switch {
	case ref.Application != "" && (ref.Name != "" || ref.Namespace != "" || ref.Kind != "" || ref.Group != ""):
		r.problem(at, "application stands for a Service of this namespace; leave out name, namespace, kind and group, or application")
	case ref.Application == "" && ref.Name == "" && (ref.Namespace != "" || ref.Kind != "" || ref.Group != ""):
		r.problem(at+".name", "the name of the backend is missing; add it")
	case ref.Name != "" && ref.Port == 0 && ref.Group == "" && (ref.Kind == "" || ref.Kind == "Service"):
		r.problem(at+".port", "a Service of somebody else needs a port; add it")
	}
}

func (r *reader) ingress(text string) {
	var written Ingress
	if !r.decode(text, &written) || !r.once(text) {
		return
	}
	r.hostnames("hosts", written.Hosts)
	r.keys("annotations", written.Annotations, nil, nil)
	for i, path := range written.Paths {
		if path == "" || path[0] != '/' {
			r.problem(fmt.Sprintf("paths[%d]", i), "%q is no path; begin it with /", shorten(path))
		}
	}
	types := []string{"", string(networkingv1.PathTypePrefix), string(networkingv1.PathTypeExact), string(networkingv1.PathTypeImplementationSpecific)}
	if !slices.Contains(types, written.PathType) {
		r.problem("pathType", "%q is unknown; use Prefix, Exact or ImplementationSpecific", shorten(written.PathType))
	}
	if written.TLSSecret != "" && len(written.Hosts) == 0 {
		r.problem("hosts", "a certificate is for host names; list those of tlsSecret")
	}
	r.settings.Ingress = &written
}
