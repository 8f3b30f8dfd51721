package manifest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trellis-operator/trellis/internal/manifest"
)

// Every rule of wadm's validation is one of the API server's: on the field, with wadm's words where it has some. Warnings
// of wadm are warnings.
func TestEveryRuleOfWadm(t *testing.T) {
	const link = "spec.components[0].traits[0].properties"
	const shared = "{name: o, component: c}"
	const vault = "{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: b}}"
	secret := "{name: a, type: component, properties: {image: x, secrets: [{name: s, properties: {policy: p, key: k}}]}}"
	for _, c := range []struct {
		rule                           string
		metadata, policies, components string
		warning                        bool
		field, text                    string
	}{
		{rule: "1: name does not match", metadata: "{name: a.b, annotations: {}}", field: "metadata.name", text: "letters, digits, - and _"},
		{rule: "2: version is latest", metadata: "{name: app, annotations: {version: latest}}", field: "metadata.annotations[version]", text: "cannot be the name"},
		{rule: "3: label key invalid", metadata: "{name: app, annotations: {}, labels: {1a/n: v}}", warning: true, field: "metadata.labels[1a/n]", text: "Invalid OAM label"},
		{rule: "4: annotation key invalid", metadata: "{name: app, annotations: {1a/n: v}}", warning: true, field: "metadata.annotations[1a/n]", text: "Invalid OAM annotation"},
		{rule: "5: component name repeated", components: "{name: a, type: component, properties: {image: x}}, {name: a, type: capability, properties: {image: y}}",
			field: "spec.components[1].name", text: "Duplicate component name in manifest: a"},
		{rule: "6: explicit id repeated", components: "{name: a, type: component, properties: {image: x, id: i}}, {name: b, type: capability, properties: {image: y, id: i}}",
			field: "spec.components[1].properties.id", text: "Duplicate component identifier in manifest: i"},
		{rule: "6: explicit id of a reference repeated", components: "{name: a, type: component, properties: {image: x, id: i}}, {name: b, type: capability, properties: {application: " + shared + ", id: i}}",
			field: "spec.components[1].properties.id", text: "Duplicate component identifier in manifest: i"},
		{rule: "7: target is not a component", components: withTraits(linkTo("{name: c}", "")), field: link + ".target.name", text: "no component of this name"},
		{rule: "7: of a string target", components: withTraits(linkTo("c", "")), field: link + ".target", text: "no component of this name"},
		{rule: "7: of any type that looks like a link", components: withTraits(strings.Replace(linkTo("{name: c}", ""), "type: link", "type: linkdef", 1)),
			field: link + ".target.name", text: "no component of this name"},
		{rule: "8: unknown interface of a known namespace", components: withTraits(strings.Replace(linkTo("b", ""), "incoming-handler", "incoming", 1)),
			warning: true, field: link + ".interfaces", text: "unrecognized interface [wasi:http/incoming]"},
		{rule: "9: custom link without target", components: withTraits("{type: link, properties: {x: y}}"), field: link + ".target.name", text: "custom link is missing 'target' property"},
		{rule: "10: custom link with a target without name", components: withTraits("{type: link, properties: {target: {name: 1}}}"),
			field: link + ".target.name", text: "custom link is missing 'target' name property"},
		{rule: "11: custom link with an unknown target", components: withTraits("{type: link, properties: {target: {name: c}}}"), warning: true,
			field: link + ".target.name", text: "custom link target [c] is not a listed component"},
		{rule: "12: unknown target (an error here, as by rule 7)", components: withTraits(linkTo("{name: c}", ", name: n")), field: link + ".target.name", text: "no component of this name"},
		{rule: "13: policy of another type", components: secret, policies: "{name: p, type: other, properties: {backend: b}}",
			field: "spec.components[0].properties.secrets[0].properties.policy", text: "which is not a secret policy. Expected type 'policy.secret.wasmcloud.dev/v1alpha1'"},
		{rule: "14: policy without backend", components: secret, policies: "{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {}}",
			field: "spec.components[0].properties.secrets[0].properties.policy", text: "which does not include a 'backend' property"},
		{rule: "15: policy not defined", components: secret, field: "spec.components[0].properties.secrets[0].properties.policy", text: "secret 's' is mapped to unknown policy 'p'"},
		{rule: "15: at the target of a link", components: withTraits(linkTo("{name: b, secrets: [{name: s, properties: {policy: p, key: k}}]}", "")),
			field: link + ".target.secrets[0].properties.policy", text: "unknown policy 'p'"},
		{rule: "15: at the source of what looks like a link", components: withTraits(strings.Replace(linkTo("b", ", source: {secrets: [{name: s, properties: {policy: p, key: k}}]}"), "type: link", "type: linkdef", 1)),
			field: link + ".source.secrets[0].properties.policy", text: "unknown policy 'p'"},
		{rule: "16: link of a wrong shape", components: withTraits(linkTo("b", ", source: null")), field: link + ".source", text: "expected a map"},
		{rule: "16: deep within", components: withTraits(linkTo("{name: b, config: [{name: c, properties: {port: 80}}]}", "")),
			field: link + ".target.config[0].properties[port]", text: "expected a string"},
		{rule: "17: scaler of a wrong shape", components: withTraits("{type: spreadscaler, properties: {instances: 1, spread: [{name: s, weigth: 1}]}}"),
			field: link + ".spread[0].weigth", text: "unknown field `weigth`"},
		{rule: "17: daemon scaler", components: withTraits("{type: daemonscaler, properties: {}}"), field: link + ".instances", text: "missing field `instances`"},
		{rule: "18: image and application", components: "{name: a, type: component, properties: {image: x, application: " + shared + "}}",
			field: "spec.components[0].properties", text: "Component cannot have both 'image' and 'application' properties"},
		{rule: "19: neither", components: "{name: a, type: component, properties: {}}",
			field: "spec.components[0].properties.image", text: "Component must have either 'image' or 'application' property"},
		{rule: "20: shared with config", components: "{name: a, type: component, properties: {application: " + shared + ", config: [{name: x}]}}",
			field: "spec.components[0].properties.config", text: "Shared component 'o' cannot specify additional 'config'"},
		{rule: "21: shared with secrets", components: "{name: a, type: component, properties: {application: " + shared + ", secrets: [{name: s, properties: {policy: p, key: k}}]}}",
			policies: vault, field: "spec.components[0].properties.secrets", text: "Shared component 'o' cannot specify additional 'secrets'"},
		{rule: "22: shared with scaler", components: "{name: a, type: component, properties: {application: " + shared + "}, traits: [{type: daemonscaler, properties: {instances: 1}}]}",
			field: "spec.components[0].traits[0]", text: "Shared component 'o' cannot include a scaler trait"},
		{rule: "23: link twice, whatever its target", components: withTraits(linkTo("b", "") + ", " + linkTo("a", ", name: default")),
			field: "spec.components[0].traits[1].properties.interfaces", text: "Duplicate link found inside component 'a': default (wasi:http/incoming-handler)"},
		{rule: "24: config of links twice", components: withTraits(linkTo("{name: b, config: [{name: c, properties: {}}]}", ", name: n") + ", " + linkTo("b", ", source: {config: [{name: c, properties: {}}]}")),
			field: "spec.components[0].traits[1].properties.source.config[0].name", text: "Duplicate link config name found: 'c'"},
		{rule: "25: source_config", components: withTraits(linkTo("b", ", source_config: []")), warning: true, field: link + ".source_config", text: "please use source: config: rather"},
		{rule: "26: target_config", components: withTraits(linkTo("b", ", target_config: []")), warning: true, field: link + ".target_config", text: "please use target: config: rather"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if c.metadata == "" {
				c.metadata = "{name: app, annotations: {}}"
			}
			errs, warnings := manifest.Validate(wadmApp(t, c.metadata, c.policies, c.components))
			var found []string
			for _, e := range errs {
				found = append(found, e.Error())
			}
			if c.warning {
				found = warnings
			}
			matches := func(s string) bool { return strings.HasPrefix(s, c.field+": ") && strings.Contains(s, c.text) }
			if !slices.ContainsFunc(found, matches) {
				t.Errorf("found %q, want one on %s with %q\nerrors %v, warnings %q", found, c.field, c.text, errs, warnings)
			}
		})
	}
}

// The outcome that wadm's own tests give each of their manifests, as the API server judges it: number of errors, and a
// part of each that must be there.
func TestWadmsManifests(t *testing.T) {
	valid := []string{
		"all_hosts.yaml", "complex.yaml", "host_stop.yaml", "lotta_components.yaml", "outdatedapp.yaml", "upgradedapp.yaml", "upgradedapp2.yaml",
		"upgradedapp3.yaml", "simple2.yaml", "simple.yaml", "correct_unique_interface_links.yaml", "long_image_refs.yaml", "simple.wadm.yaml",
		"custom-interface.wadm.yaml", "policy.wadm.yaml", "misnamed-interface.wadm.yaml", "unknown-package.wadm.yaml",
		"deprecated-source-and-target-config.yaml", "shared/shared_http.yaml", "shared/shared_http_dev.yaml", "shared/shared_component.yaml",
		"shared/shared_component_dev.yaml", "shared/notshared_http.yaml", "shared/no_matching_app.yaml", "shared/no_matching_component.yaml",
		"shared/notshared_http_dev.yaml", "simple1.json", "simple1.yaml", "config.yaml", "custom.yaml", "sqldbpostgres.yaml", "kvcounter.yaml",
		"hello.yaml", "echo.yaml",
	}
	broken := map[string][]string{
		"dangling-link.wadm.yaml":               {"httpclient"},
		"missing_capability_component.yaml":     {"httpclyent"},
		"duplicate_component.yaml":              {"manifest: ui", "manifest: vets"},
		"incorrect_component.yaml":              {"manifest: ui", "manifest: vets", "missing field `instances`"},
		"duplicate_id1.yaml":                    {"identifier in manifest: httpserver"},
		"duplicate_id2.yaml":                    {"identifier in manifest: ui"},
		"duplicate_links.yaml":                  {"inside component 'httpserver': default (wasi:http/incoming-handler)"},
		"incorrect_unique_interface_links.yaml": {"inside component 'my-component': default (wasi:keyvalue/atomics)"},
		"duplicate_link_config_names.wadm.yaml": {"'redis-url'", "'alternate-port'", "'default-port'"},
		"shared/both_properties.yaml":           {"both 'image' and 'application'"},
		"shared/no_properties.yaml":             {"either 'image' or 'application'"},
	}
	warned := map[string][]string{
		"misnamed-interface.wadm.yaml":             {"unrecognized interface [wasi:keyvalue/atomic]"},
		"unknown-package.wadm.yaml":                {"unrecognized interface [wasi:keyvalues/atomics]"},
		"deprecated-source-and-target-config.yaml": {"source_config", "target_config"},
		"kvcounter.yaml":                           {"atomic", "eventual"},
	}
	for _, name := range valid {
		broken[name] = nil
	}
	for name, want := range broken {
		data, err := os.ReadFile(filepath.Join("testdata/wadm", name))
		if err != nil {
			t.Fatal(err)
		}
		app, err := manifest.DecodeWadm("", data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		errs, warnings := manifest.Validate(app)
		if len(errs) != len(want) {
			t.Errorf("%s: errors %v, want %d", name, errs, len(want))
		}
		for _, text := range want {
			if !strings.Contains(errs.ToAggregate().Error(), text) {
				t.Errorf("%s: errors %v, want one with %q", name, errs, text)
			}
		}
		for _, text := range warned[name] {
			if !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, text) }) {
				t.Errorf("%s: warnings %q, want one with %q", name, warnings, text)
			}
		}
	}
	// The one that is refused before it is validated, at wash's door as at Kubernetes' with strict field validation.
	data, err := os.ReadFile("testdata/wadm/made-up-key.wadm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.DecodeWadm("", data); err == nil || !strings.Contains(err.Error(), "unknown field `incorrect`") {
		t.Errorf("made-up-key.wadm.yaml: %v", err)
	}
	files, err := filepath.Glob("testdata/wadm/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if _, listed := broken[name]; !listed && name != "README.md" && name != "made-up-key.wadm.yaml" {
			t.Errorf("%s has no outcome", name)
		}
	}
}
