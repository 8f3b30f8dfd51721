package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// What is legal but hardly meant is said on its field, and refused nowhere.
func TestValidate_Warnings(t *testing.T) {
	const scaler = "{type: spreadscaler, properties: {instances: 1}}"
	linked := func(kind, link string) string {
		return fmt.Sprintf("  components: [{name: a, type: %s, properties: {image: x}, traits: [%s, {type: link, properties: {%s}}]}, "+
			"{name: b, type: capability, properties: {image: y}}]", kind, scaler, link)
	}
	for _, c := range []struct{ name, spec, field, text string }{
		{"no components", "  components: []", "spec.components", "nothing will run"},
		{"no scaler", "  components: [{name: a, type: component, properties: {image: x}}]", "spec.components[0].traits", "has no scaler and will not be started"},
		{"unknown trait", "  components: [{name: a, type: component, properties: {image: x}, traits: [" + scaler + ", {type: autoscaler, properties: {}}]}]",
			"spec.components[0].traits[1].type", `trait "autoscaler" is not known and has no effect`},
		{"link without interfaces", linked("component", "namespace: n, package: p, interfaces: [], target: b"),
			"spec.components[0].traits[1].properties.interfaces", "connects nothing"},
		{"capability to capability", linked("capability", "namespace: n, package: p, interfaces: [i], target: b"),
			"spec.components[0].traits[1].properties.target", "the link has no effect"},
		{"policy twice", "  components: []\n  policies: [{name: p, type: t, properties: {}}, {name: p, type: t, properties: {}}]",
			"spec.policies[1].name", "the last one counts"},
		{"spreads that meet", "  components: [{name: a, type: component, properties: {image: x}, traits: [{type: spreadscaler, properties: {instances: 2, " +
			"spread: [{name: s, requirements: {zone: east}}, {name: all}]}}]}]",
			"spec.components[0].traits[0].properties.spread[1]", "may choose the same host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs, warnings := Validate(decoded(t, c.spec))
			said := func(w string) bool { return strings.HasPrefix(w, c.field+": ") && strings.Contains(w, c.text) }
			if len(errs) > 0 || !slices.ContainsFunc(warnings, said) {
				t.Errorf("warnings %q, errors %v; want a warning on %s with %q", warnings, errs, c.field, c.text)
			}
		})
	}
}

func TestValidate_EmptyVersion(t *testing.T) {
	app := decoded(t, "  components: []")
	app.Annotations = map[string]string{v1beta1.VersionAnnotation: ""}
	errs, warnings := Validate(app)
	if len(errs) > 0 || !slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, "metadata.annotations[version]: ") }) {
		t.Errorf("%v %q", errs, warnings)
	}
}

// Each list and name may have so many and no more; the limit itself is taken.
func TestValidate_Limits(t *testing.T) {
	repeated := func(n int, item string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = strings.ReplaceAll(item, "#", fmt.Sprint(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	one := func(properties, traits string) string {
		return "  components: [{name: a, type: component, properties: {image: x" + properties + "}, traits: " + traits + "}, {name: b, type: capability, properties: {image: y}}]"
	}
	const secret = "{name: s#, properties: {policy: p, key: k}}"
	const vault = "\n  policies: [{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: v}}]"
	for _, c := range []struct {
		name  string
		limit int
		spec  func(n int) string
		field string
	}{
		{"components", MaxComponents, func(n int) string {
			return "  components: " + repeated(n, "{name: c#, type: capability, properties: {image: x}}")
		}, "spec.components"},
		{"policies", MaxPolicies, func(n int) string {
			return "  components: []\n  policies: " + repeated(n, "{name: p#, type: t, properties: {}}")
		}, "spec.policies"},
		{"traits", MaxTraits, func(n int) string { return one("", repeated(n, "{type: other, properties: {}}")) }, "spec.components[0].traits"},
		{"spreads", MaxSpreads, func(n int) string {
			return one("", "[{type: spreadscaler, properties: {instances: 1, spread: "+repeated(n, "{name: s#}")+"}}]")
		}, "spec.components[0].traits[0].properties.spread"},
		{"configs", MaxConfigs, func(n int) string { return one(", config: "+repeated(n, "{name: c#}"), "[]") }, "spec.components[0].properties.config"},
		{"secrets", MaxSecrets, func(n int) string { return one(", secrets: "+repeated(n, secret), "[]") + vault }, "spec.components[0].properties.secrets"},
		{"configs of a link", MaxConfigs, func(n int) string {
			return one("", "[{type: link, properties: {namespace: n, package: p, interfaces: [i], target: {name: b, config: "+repeated(n, "{name: c#}")+"}}}]")
		}, "spec.components[0].traits[0].properties.target.config"},
		{"interfaces", MaxInterfaces, func(n int) string {
			return one("", "[{type: link, properties: {namespace: n, package: p, interfaces: "+repeated(n, "i#")+", target: b}}]")
		}, "spec.components[0].traits[0].properties.interfaces"},
		{"characters of an id", MaxIDLength, func(n int) string { return one(", id: "+strings.Repeat("i", n), "[]") }, "spec.components[0].properties.id"},
		{"characters of a name", MaxNameLength, func(n int) string {
			return "  components: [{name: " + strings.Repeat("n", n) + ", type: component, properties: {image: x, id: i}}]"
		}, "spec.components[0].name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if errs, _ := Validate(decoded(t, c.spec(c.limit))); len(errs) > 0 {
				t.Errorf("%d are refused: %v", c.limit, errs[0])
			}
			errs, _ := Validate(decoded(t, c.spec(c.limit+1)))
			if len(errs) != 1 || errs[0].Field != c.field {
				t.Errorf("with %d the errors are %v, want one on %s", c.limit+1, errs, c.field)
			}
		})
	}
}
