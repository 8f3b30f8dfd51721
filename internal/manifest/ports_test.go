package manifest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trellis-operator/trellis/internal/manifest"
)

// serverOn is an HTTP server with one link for each address; an empty address is the default one.
func serverOn(name, more string, addresses ...string) string {
	var traits []string
	for i, address := range addresses {
		config := ""
		if address != "" {
			config = fmt.Sprintf(", source: {config: [{name: %s-%d, properties: {address: '%s'}}]}", name, i, address)
		}
		traits = append(traits, fmt.Sprintf("{type: link, properties: {name: n%d, namespace: wasi, package: http, interfaces: [incoming-handler], target: {name: a}%s}}", i, config))
	}
	properties, scaler, _ := strings.Cut(more, "|")
	if scaler != "" {
		traits = append(traits, scaler)
	}
	return fmt.Sprintf("{name: %s, type: capability, properties: {image: 'ghcr.io/wasmcloud/http-server:0.27.0'%s}, traits: [%s]}", name, properties, strings.Join(traits, ", "))
}

func TestPortClashes(t *testing.T) {
	const everywhere = "|{type: daemonscaler, properties: {instances: 1}}"
	in := func(zone string) string {
		return "|{type: spreadscaler, properties: {instances: 1, spread: [{name: s, requirements: {zone: " + zone + "}}]}}"
	}
	const first = "spec.components[1].traits[0].properties.source"
	for _, c := range []struct {
		name, components string
		// at most one of the two
		field, warning string
	}{
		{name: "two ports", components: serverOn("s", "", "0.0.0.0:8080", "0.0.0.0:8081")},
		{name: "two links of one server", components: serverOn("s", "", "0.0.0.0:8080", "0.0.0.0:8080"),
			field: "spec.components[1].traits[1].properties.source.config[0].properties[address]"},
		{name: "wildcard and loopback", components: serverOn("s", "", "127.0.0.1:8080", "0.0.0.0:8080"),
			field: "spec.components[1].traits[1].properties.source.config[0].properties[address]"},
		{name: "two loopback addresses", components: serverOn("s", "", "127.0.0.1:8080", "127.0.0.2:8080")},
		{name: "both by default", components: serverOn("s", "", "", ""), field: "spec.components[1].traits[1].properties.source"},
		{name: "default of the server", components: serverOn("s", ", config: [{name: c, properties: {default_address: '0.0.0.0:9'}}]", "", "0.0.0.0:9"),
			field: "spec.components[1].traits[1].properties.source.config[0].properties[address]"},
		{name: "routed by path", components: serverOn("s", ", config: [{name: c, properties: {routing_mode: path}}]", "", "")},
		{name: "configured by somebody else", components: serverOn("s", ", config: [{name: c}]", "", "")},
		{name: "two servers on any host", components: serverOn("s", "", "0.0.0.0:8080") + ", " + serverOn("r", "", "0.0.0.0:8080"),
			warning: "spec.components[2].traits[0].properties.source.config[0].properties[address]"},
		{name: "two servers, one on every host", components: serverOn("s", everywhere, "0.0.0.0:8080") + ", " + serverOn("r", "", "0.0.0.0:8080"),
			field: "spec.components[2].traits[0].properties.source.config[0].properties[address]"},
		{name: "two servers on different hosts", components: serverOn("s", in("a"), "0.0.0.0:8080") + ", " + serverOn("r", in("b"), "0.0.0.0:8080")},
		{name: "no address", components: serverOn("s", "", "8080"), warning: first + ".config[0].properties[address]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := wadmApp(t, "{name: app, annotations: {}}", "", "{name: a, type: component, properties: {image: x}, traits: [{type: spreadscaler, properties: {instances: 1}}]}, "+c.components)
			errs, warnings := manifest.Validate(app)
			switch {
			case c.field == "" && len(errs) > 0, c.field != "" && (len(errs) != 1 || errs[0].Field != c.field):
				t.Errorf("errors %v, want one on %q", errs, c.field)
			}
			warned := slices.ContainsFunc(warnings, func(w string) bool { return c.warning != "" && strings.HasPrefix(w, c.warning+": ") })
			if (c.warning != "") != warned || c.warning == "" && len(warnings) > 0 {
				t.Errorf("warnings %q, want one on %q", warnings, c.warning)
			}
		})
	}
}
