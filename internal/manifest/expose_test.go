package manifest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/trellis-operator/trellis/internal/manifest"
)

// An expose policy that can't be read is stored and warned about, on the very field.
func TestExposePolicies(t *testing.T) {
	const web = "{name: web, type: capability, properties: {image: x}}"
	for _, c := range []struct{ properties, warning string }{
		{`component: web, ports: "[{port: 80}]"`, ""},
		{`component: web, ports: "[{port: 80, prot: TCP}]"`, "spec.policies[0].properties[ports].[0].prot: there is no such field"},
		{`component: other`, `spec.policies[0].properties[component]: "other" is no capability provider`},
		{`type: Many`, "spec.policies[0].properties[type]: "},
	} {
		app := wadmApp(t, "{name: app, annotations: {}}", "{name: p, type: policy.expose.wasmcloud.dev/v1alpha1, properties: {"+c.properties+"}}", web)
		errs, warnings := manifest.Validate(app)
		if len(errs) > 0 {
			t.Errorf("%s: refused: %v", c.properties, errs)
		}
		warned := slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, c.warning) })
		if c.warning == "" && len(warnings) > 0 || c.warning != "" && !warned {
			t.Errorf("%s: warnings %q, want %q", c.properties, warnings, c.warning)
		}
	}
}
