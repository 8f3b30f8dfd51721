package exposure

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Defaults of the HTTP server provider.
const (
	defaultAddress  = "0.0.0.0:8000"
	builtinProvider = "wasmcloud+builtin://http-server"

	modeAddress = "address"
	modePath    = "path"
	modeHost    = "host"
)

// port is a TCP port that a provider listens on.
type port struct {
	provider string
	// builtin says that the provider is part of the host and reaches components of its own host only.
	builtin bool
	number  uint16
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
	own := merge(p.Config, view)
	builtin := p.Image == builtinProvider
	var links []Link
	for _, l := range view.Links(p.ID) {
		if l.Namespace == "wasi" && l.Package == "http" && slices.Contains(l.Interfaces, "incoming-handler") {
			links = append(links, l)
		}
	}
	if len(links) == 0 {
		return nil, nil
	}
	found := map[uint16]*port{}
	add := func(address string, targets ...string) error {
		parsed, err := netip.ParseAddrPort(address)
		if err != nil || parsed.Port() == 0 {
			return fmt.Errorf("the HTTP server %s has the address %q, which is not IP:port; write 0.0.0.0:8080 for port 8080", p.ID, address)
		}
		at := found[parsed.Port()]
		if at == nil {
			at = &port{provider: p.ID, builtin: builtin, number: parsed.Port(), loopback: true}
			found[parsed.Port()] = at
		}
		at.loopback = at.loopback && parsed.Addr().IsLoopback()
		at.targets = append(at.targets, targets...)
		return nil
	}
	if err := eachAddress(own, builtin, links, view, add); err != nil {
		return nil, err
	}
	out := make([]port, 0, len(found))
	for _, at := range found {
		out = append(out, *at)
	}
	slices.SortFunc(out, func(a, b port) int { return int(a.number) - int(b.number) })
	return out, nil
}

func eachAddress(own map[string]string, builtin bool, links []Link, view View, add func(string, ...string) error) error {
	fallback := orDefault(own["default_address"], defaultAddress)
	if mode := orDefault(own["routing_mode"], modeAddress); mode == modePath || mode == modeHost {
		// One listener for all links, at the provider's own address; builtin ones know the default only.
		address := fallback
		if !builtin {
			address = listenAddress(own, fallback)
		}
		var targets []string
		for _, l := range links {
			targets = append(targets, l.Target)
		}
		return add(address, targets...)
	}
	for _, l := range links {
		if err := add(listenAddress(merge(l.SourceConfig, view), fallback), l.Target); err != nil {
			return err
		}
	}
	return nil
}

// merge returns the named configurations as one, later ones winning key by key. One that is not there yet is empty.
func merge(names []string, view View) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		values, _ := view.Config(name)
		for key, value := range values {
			out[key] = value
		}
	}
	return out
}

// listenAddress reads a listener's settings as the provider does: config_b64, else config_json, else the key address in
// any case.
func listenAddress(settings map[string]string, fallback string) string {
	folded := map[string]string{}
	for key, value := range settings {
		folded[strings.ToLower(key)] = value
	}
	if encoded, found := folded["config_b64"]; found {
		raw, err := base64.RawStdEncoding.DecodeString(encoded)
		if err != nil {
			return encoded
		}
		return addressInJSON(raw)
	}
	if text, found := folded["config_json"]; found {
		return addressInJSON([]byte(text))
	}
	return orDefault(folded["address"], fallback)
}

// addressInJSON ignores the provider's default address, as the provider does.
func addressInJSON(raw []byte) string {
	var settings struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(raw, &settings); err != nil {
		return string(raw)
	}
	return orDefault(settings.Address, defaultAddress)
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
