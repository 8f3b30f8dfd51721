package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// wadmApp reads a manifest; metadata and components are YAML.
func wadmApp(t *testing.T, metadata, policies, components string) *v1beta1.Application {
	t.Helper()
	text := fmt.Sprintf("apiVersion: a\nkind: k\nmetadata: %s\nspec: {policies: [%s], components: [%s]}\n", metadata, policies, components)
	app, err := manifest.DecodeWadm("application/yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return app
}

// withTraits is a component a with these traits, and a capability b.
func withTraits(traits string) string {
	return "{name: a, type: component, properties: {image: x}, traits: [" + traits + "]}, {name: b, type: capability, properties: {image: y}}"
}

func linkTo(target, more string) string {
	return "{type: link, properties: {namespace: wasi, package: http, interfaces: [incoming-handler], target: " + target + more + "}}"
}

// The rules of wadm's validation, with its words; wash shows them, and programs look for parts of them.
func TestWadmFindings(t *testing.T) {
	const plain = "{name: app, annotations: {}}"
	const shared = "{name: o, component: c}"
	e := func(text string) manifest.Finding { return manifest.Finding{Text: text} }
	w := func(text string) manifest.Finding { return manifest.Finding{Text: text, Warning: true} }
	secret := "{name: a, type: component, properties: {image: x, secrets: [{name: s, properties: {policy: p, key: k}}]}}"
	one := "{name: a, type: component, properties: {image: x}}"
	for _, c := range []struct {
		rule, metadata, policies, components string
		want                                 []manifest.Finding
	}{
		{rule: "none broken", components: withTraits(linkTo("b", ""))},
		{rule: "1 name", metadata: "{name: a.b, annotations: {}}", components: one,
			want: []manifest.Finding{e(`manifest name [a.b] is not allowed (should match regex [^[-\w]+$])`)}},
		{rule: "1 name with a blank", metadata: "{name: ' a', annotations: {}}", components: one,
			want: []manifest.Finding{e(`manifest name [ a] is not allowed (should match regex [^[-\w]+$])`)}},
		{rule: "2 version", metadata: "{name: app, annotations: {version: latest}}", components: one,
			want: []manifest.Finding{e("latest is not allowed in wadm")}},
		{rule: "3 label", metadata: "{name: app, annotations: {}, labels: {my_prefix/n: v}}", components: one,
			want: []manifest.Finding{e(`Invalid OAM label: ("my_prefix/n", "v")`)}},
		{rule: "4 annotation", metadata: "{name: app, annotations: {a/b/c: v}}", components: one,
			want: []manifest.Finding{e(`Invalid OAM annotation: ("a/b/c", "v")`)}},
		{rule: "5 names", components: one + ", {name: a, type: capability, properties: {image: y}}",
			want: []manifest.Finding{e("Duplicate component name in manifest: a")}},
		{rule: "6 ids", components: "{name: a, type: component, properties: {image: x, id: i}}, {name: b, type: capability, properties: {image: y, id: i}}",
			want: []manifest.Finding{e("Duplicate component identifier in manifest: i")}},
		{rule: "7 and 12 target", components: withTraits(linkTo("{name: c}", "")),
			want: []manifest.Finding{e(`The following capability component(s) are missing from the manifest: ["c"]`),
				w("link (target [c]) target [c] is not a listed component")}},
		{rule: "7 and 12 targets, one named", components: withTraits(linkTo("d", "") + ", " + linkTo("c", ", name: n")),
			want: []manifest.Finding{e(`The following capability component(s) are missing from the manifest: ["c", "d"]`),
				w("link (target [d]) target [d] is not a listed component"), w("link (name [n]) target [c] is not a listed component")}},
		{rule: "7 whatever the type", components: withTraits("{type: linkdef, properties: {namespace: n, package: p, interfaces: [], target: c}}"),
			want: []manifest.Finding{e(`The following capability component(s) are missing from the manifest: ["c"]`)}},
		{rule: "8 interface", components: withTraits("{type: link, properties: {namespace: wasi, package: keyvalue, interfaces: [atomic, store], target: b}}"),
			want: []manifest.Finding{w("unrecognized interface [wasi:keyvalue/atomic]")}},
		{rule: "8 package", components: withTraits("{type: link, properties: {namespace: wasi, package: keyvalues, interfaces: [atomics], target: b}}"),
			want: []manifest.Finding{w("unrecognized interface [wasi:keyvalues/atomics]")}},
		{rule: "8 other namespace", components: withTraits("{type: link, properties: {namespace: mine, package: p, interfaces: [i], target: b}}")},
		{rule: "9 and 16 custom link", components: withTraits("{type: link, properties: {a: b}}"),
			want: []manifest.Finding{e("custom link is missing 'target' property"),
				e(`Link trait deserialized as custom trait, ensure fields are correct: {"a":"b"}`)}},
		{rule: "10 and 16", components: withTraits("{type: link, properties: {target: {}}}"),
			want: []manifest.Finding{e("custom link is missing 'target' name property"),
				e(`Link trait deserialized as custom trait, ensure fields are correct: {"target":{}}`)}},
		{rule: "11 and 16", components: withTraits("{type: link, properties: {target: {name: c}}}"),
			want: []manifest.Finding{w("custom link target [c] is not a listed component"),
				e(`Link trait deserialized as custom trait, ensure fields are correct: {"target":{"name":"c"}}`)}},
		{rule: "13 policy type", components: secret, policies: "{name: p, type: t, properties: {backend: b}}",
			want: []manifest.Finding{e("secret 's' is mapped to policy 'p' which is not a secret policy. Expected type 'policy.secret.wasmcloud.dev/v1alpha1'")}},
		{rule: "14 backend", components: secret, policies: "{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {}}",
			want: []manifest.Finding{e("secret 's' is mapped to policy 'p' which does not include a 'backend' property")}},
		{rule: "15 no policy", components: secret,
			want: []manifest.Finding{e("secret 's' is mapped to unknown policy 'p'")}},
		{rule: "15 at a link", components: withTraits(linkTo("{name: b, secrets: [{name: s, properties: {policy: p, key: k}}]}", "")),
			want: []manifest.Finding{e("secret 's' is mapped to unknown policy 'p'")}},
		{rule: "13-15 good", components: secret, policies: "{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: b}}"},
		{rule: "13-15 last policy counts", components: secret,
			policies: "{name: p, type: t, properties: {}}, {name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: b}}"},
		{rule: "17 scaler", components: withTraits("{type: spreadscaler, properties: {spread: []}}"),
			want: []manifest.Finding{e(`Scaler trait deserialized as custom trait, ensure fields are correct: {"spread":[]}`)}},
		{rule: "17 daemon", components: withTraits("{type: daemonscaler, properties: {instances: 1, x: 1}}"),
			want: []manifest.Finding{e(`Scaler trait deserialized as custom trait, ensure fields are correct: {"instances":1,"x":1}`)}},
		{rule: "17 not other types", components: withTraits("{type: mine, properties: {x: 1}}")},
		{rule: "17 requirements may be absent", components: withTraits("{type: spreadscaler, properties: {instances: 1, spread: [{name: s}]}}")},
		{rule: "18 both", components: "{name: a, type: component, properties: {image: x, application: " + shared + "}}",
			want: []manifest.Finding{e("Component cannot have both 'image' and 'application' properties")}},
		{rule: "19 neither", components: "{name: a, type: component, properties: {}}",
			want: []manifest.Finding{e("Component must have either 'image' or 'application' property")}},
		{rule: "20 config, before 21 and 22", components: "{name: a, type: component, properties: {application: " + shared + ", config: [{name: c}], secrets: " +
			"[{name: s, properties: {policy: p, key: k}}]}, traits: [{type: daemonscaler, properties: {instances: 1}}]}",
			policies: "{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: b}}",
			want:     []manifest.Finding{e("Shared component 'o' cannot specify additional 'config'")}},
		{rule: "21 secrets", components: "{name: a, type: component, properties: {application: " + shared + ", secrets: [{name: s, properties: {policy: p, key: k}}]}}",
			policies: "{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: b}}",
			want:     []manifest.Finding{e("Shared component 'o' cannot specify additional 'secrets'")}},
		{rule: "22 scaler", components: "{name: a, type: component, properties: {application: " + shared + "}, traits: [{type: daemonscaler, properties: {instances: 1}}]}",
			want: []manifest.Finding{e("Shared component 'o' cannot include a scaler trait")}},
		{rule: "23 links", components: withTraits(linkTo("b", "") + ", " + linkTo("a", ", name: default")),
			want: []manifest.Finding{e("Duplicate link found inside component 'a': default (wasi:http/incoming-handler)")}},
		{rule: "23 other name", components: withTraits(linkTo("b", "") + ", " + linkTo("b", ", name: n"))},
		{rule: "24 configs of links", components: withTraits(linkTo("{name: b, config: [{name: c, properties: {}}]}", ", name: n") + ", " +
			linkTo("b", ", source: {config: [{name: c, properties: {}}, {name: d}]}") + ", " + linkTo("b", ", name: m, source: {config: [{name: d}]}")),
			want: []manifest.Finding{e("Duplicate link config name found: 'c'")}},
		{rule: "25 and 26 old forms", components: withTraits(linkTo("b", ", source_config: [], target_config: []")),
			want: []manifest.Finding{w("one of the components' link trait contains a source_config key, please use source:config: rather"),
				w("one of the components' link trait contains a target_config key, please use target:config: rather")}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			metadata := c.metadata
			if metadata == "" {
				metadata = plain
			}
			app := wadmApp(t, metadata, c.policies, c.components)
			if diff := cmp.Diff(c.want, manifest.WadmFindings(app)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			first := "<nil>"
			for _, f := range c.want {
				if !f.Warning {
					first = f.Text
					break
				}
			}
			if got := fmt.Sprint(manifest.ValidateWadm(app)); got != first {
				t.Errorf("put is refused with %q, want %q", got, first)
			}
		})
	}
}

// All rules broken at once: put is refused for the first one.
func TestValidateWadm_Order(t *testing.T) {
	app := wadmApp(t, "{name: a.b, annotations: {version: latest, a/b/c: v}, labels: {a/b/c: v}}", "",
		"{name: a, type: component, properties: {id: i}, traits: ["+linkTo("c", ", name: n")+", {type: spreadscaler, properties: {}}]}, "+
			"{name: a, type: component, properties: {id: i, secrets: [{name: s, properties: {policy: p, key: k}}]}, traits: ["+linkTo("a", "")+", "+linkTo("a", "")+"]}")
	var errors []string
	for _, f := range manifest.WadmFindings(app) {
		if !f.Warning {
			errors = append(errors, f.Text)
		}
	}
	begins := []string{"manifest name", "latest", "Invalid OAM label", "Invalid OAM annotation", "Duplicate component name", "Duplicate component identifier",
		"The following", "secret 's'", "Scaler trait", "Component must", "Component must", "Duplicate link found"}
	if len(errors) != len(begins) {
		t.Fatalf("errors are %q", errors)
	}
	for i, begin := range begins {
		if !strings.HasPrefix(errors[i], begin) {
			t.Errorf("error %d is %q, want %s…", i, errors[i], begin)
		}
	}
	if err := manifest.ValidateWadm(app); err == nil || err.Error() != errors[0] {
		t.Errorf("put is refused with %v, want %q", err, errors[0])
	}
}
