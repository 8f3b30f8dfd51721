package manifest

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// Settings of the HTTP server provider.
const (
	httpServerName     = "http-server"
	addressSetting     = "address"
	defaultAddressKey  = "default_address"
	routingModeSetting = "routing_mode"
	routingByAddress   = "address"
	defaultHTTPAddress = "0.0.0.0:8000"
)

// listener is an address that an HTTP server of the manifest opens on every host it runs on.
type listener struct {
	path      *field.Path
	component *v1beta1.Component
	address   netip.AddrPort
}

// ports finds HTTP listeners that want one port. Two of one provider meet on every host: only the first is served, and
// that is refused. Those of different providers meet where both run on one host, which is refused only if it must happen.
func (c *check) ports(components *field.Path) {
	var seen []listener
	for i := range c.app.Spec.Components {
		comp := &c.app.Spec.Components[i]
		for _, l := range c.listeners(components.Index(i), comp) {
			for _, other := range seen {
				if sameSocket(l.address, other.address) {
					c.portClash(l, other)
					break
				}
			}
			seen = append(seen, l)
		}
	}
}

func (c *check) portClash(l, other listener) {
	const next = "; give each its own port, or route by path or host (routing_mode) on one server"
	switch {
	case l.component == other.component:
		c.invalid(l.path, l.address.String(), "another link of HTTP server %q already listens on port %d (%s): only one of the two is served"+next,
			l.component.Name, l.address.Port(), other.path)
	case mayMeet(l.component, other.component) && (everyHost(l.component) || everyHost(other.component)):
		c.invalid(l.path, l.address.String(), "HTTP server %q already listens on port %d (%s), and one of the two runs on every host: "+
			"only one of them is served"+next, other.component.Name, l.address.Port(), other.path)
	case mayMeet(l.component, other.component):
		c.warn(l.path, "HTTP server %q listens on port %d too (%s): where both run on one host, only one of them is served"+next,
			other.component.Name, l.address.Port(), other.path)
	}
}

// listeners are those of an HTTP server in the manifest whose address is known: configurations of somebody else may
// change it, so a server that has one is left alone.
func (c *check) listeners(path *field.Path, comp *v1beta1.Component) []listener {
	if kindOf(comp.Type) != KindProvider || !isHTTPServer(comp.Properties.Image) {
		return nil
	}
	own, known := mergeConfigs(comp.Properties.Config)
	mode := own[routingModeSetting]
	if !known || mode != "" && mode != routingByAddress {
		return nil // one listener for all links
	}
	fallback := own[defaultAddressKey]
	if fallback == "" {
		fallback = defaultHTTPAddress
	}
	var out []listener
	for i, t := range comp.Traits {
		at := path.Child("traits").Index(i).Child("properties")
		v, err := properties(t)
		if err != nil || t.Type != TraitLink {
			continue
		}
		link, err := readLink(v)
		if err != nil || link.Namespace != "wasi" || link.Package != "http" || !slices.Contains(link.Interfaces, "incoming-handler") {
			continue
		}
		if l, ok := c.listener(at, link, fallback); ok {
			l.component = comp
			out = append(out, l)
		}
	}
	return out
}

func (c *check) listener(path *field.Path, link linkTrait, fallback string) (listener, bool) {
	settings, known := mergeConfigs(link.Source.Config)
	if !known || settings["config_b64"] != "" || settings["config_json"] != "" {
		return listener{}, false
	}
	address, at := fallback, path.Child("source")
	for i, cfg := range slices.Backward(link.Source.Config) {
		if value := lowerKeys(cfg.Properties)[addressSetting]; value != "" {
			address, at = value, link.sourceConfigs(path).Index(i).Child("properties").Key(addressSetting)
			break
		}
	}
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || parsed.Port() == 0 {
		c.warn(at, "the HTTP server cannot listen on %q, which is not IP:port; write 0.0.0.0:8080 for port 8080", address)
		return listener{}, false
	}
	return listener{path: at, address: parsed}, true
}

// mergeConfigs folds configurations, later ones winning key by key; ok is false when one is somebody else's.
func mergeConfigs(list []v1beta1.ConfigProperty) (merged map[string]string, ok bool) {
	merged = map[string]string{}
	for _, cfg := range list {
		if cfg.Properties == nil {
			return nil, false
		}
		maps.Copy(merged, lowerKeys(cfg.Properties))
	}
	return merged, true
}

func lowerKeys(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for key, value := range m {
		out[strings.ToLower(key)] = value
	}
	return out
}

// isHTTPServer recognises the provider by its image, wherever it was mirrored to.
func isHTTPServer(image string) bool {
	if _, rest, found := strings.Cut(image, "://"); found {
		image = rest
	}
	name := image[strings.LastIndex(image, "/")+1:]
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return strings.HasSuffix(name, httpServerName)
}

// sameSocket says that the second of two addresses can't be opened while the first is.
func sameSocket(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() || a.Addr().Is4() != b.Addr().Is4() {
		return false
	}
	return a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified()
}

// everyHost says that a provider runs on every host there is.
func everyHost(comp *v1beta1.Component) bool {
	kind, s := scalerOf(comp)
	if kind != TraitDaemon || s.Instances == 0 {
		return false
	}
	return len(s.Spread) == 0 || slices.ContainsFunc(s.Spread, func(sp spreadTrait) bool { return len(sp.Requirements) == 0 })
}

// mayMeet says that two providers may run on one host.
func mayMeet(a, b *v1beta1.Component) bool {
	_, one := scalerOf(a)
	_, two := scalerOf(b)
	if one.Instances == 0 || two.Instances == 0 {
		return false
	}
	for _, x := range one.spreads() {
		for _, y := range two.spreads() {
			if overlap(x.Requirements, y.Requirements) {
				return true
			}
		}
	}
	return false
}

func (s scalerTrait) spreads() []spreadTrait {
	if len(s.Spread) == 0 {
		return []spreadTrait{{Name: DefaultSpread}}
	}
	return s.Spread
}

// scalerOf is the scaler of a provider; without one it runs once.
func scalerOf(comp *v1beta1.Component) (kind string, s scalerTrait) {
	for _, t := range comp.Traits {
		if t.Type != TraitSpread && t.Type != TraitDaemon {
			continue
		}
		if v, err := properties(t); err == nil {
			if s, err := readScaler(v); err == nil {
				return t.Type, s
			}
		}
	}
	return TraitSpread, scalerTrait{Instances: 1}
}
