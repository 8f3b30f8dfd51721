package manifest

import (
	"fmt"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// decoded is an application as the API server has it: typed, but of any type.
func decoded(t *testing.T, spec string) *v1beta1.Application {
	t.Helper()
	text := "apiVersion: v\nkind: k\nmetadata: {name: app}\nspec:\n" + spec
	app, err := DecodeWadm("application/yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func TestValidate_Errors(t *testing.T) {
	const two = "  components: [{name: a, type: component, properties: {image: x}, traits: %s}, {name: b, type: capability, properties: {image: y}}]"
	link := func(s string) string { return fmt.Sprintf(two, "[{type: link, properties: {"+s+"}}]") }
	for _, c := range []struct{ name, spec, field, text string }{
		{"missing image", "  components: [{name: a, type: component, properties: {}}]", "spec.components[0].properties.image", "must have either"},
		{"blank in image", "  components: [{name: a, type: component, properties: {image: 'x y'}}]", "spec.components[0].properties.image", "no blanks"},
		{"two of one name", "  components: [{name: a, type: component, properties: {image: x}}, {name: a, type: component, properties: {image: x}}]",
			"spec.components[1].name", "Duplicate"},
		{"no name", "  components: [{name: '', type: component, properties: {image: x}}]", "spec.components[0].name", "give the component a name"},
		{"derived ids meet", "  components: [{name: a-b, type: component, properties: {image: x}}, {name: a_b, type: component, properties: {image: x}}]",
			"spec.components[1].name", "same id in the lattice"},
		{"bad id", "  components: [{name: a, type: component, properties: {image: x, id: a.b}}]", "spec.components[0].properties.id", "NATS subjects"},
		{"dangling link", link("namespace: wasi, package: http, interfaces: [incoming-handler], target: c"),
			"spec.components[0].traits[0].properties.target", "no component of this name"},
		{"link without target", link("namespace: wasi, package: http, interfaces: [incoming-handler]"),
			"spec.components[0].traits[0].properties.target.name", "name the component"},
		{"link shaped like a scaler", link("instances: 1"), "spec.components[0].traits[0].properties.namespace", "a link has namespace"},
		{"link with a number", link("namespace: 1, package: http, interfaces: []"), "spec.components[0].traits[0].properties.namespace", "expected a string"},
		{"same link twice", fmt.Sprintf(two, "[{type: link, properties: {namespace: n, package: p, interfaces: [i], target: b}}, {type: link, properties: {namespace: n, package: p, interfaces: [i], target: a}}]"),
			"spec.components[0].traits[1].properties.interfaces", "Duplicate link"},
		{"instances missing", fmt.Sprintf(two, "[{type: spreadscaler, properties: {}}]"), "spec.components[0].traits[0].properties.instances", "missing field `instances`"},
		{"instances negative", fmt.Sprintf(two, "[{type: spreadscaler, properties: {instances: -1}}]"), "spec.components[0].traits[0].properties.instances", "not negative"},
		{"instances too many", fmt.Sprintf(two, "[{type: spreadscaler, properties: {instances: 4294967296}}]"), "spec.components[0].traits[0].properties", "at most 4294967295"},
		{"both instances and replicas", fmt.Sprintf(two, "[{type: spreadscaler, properties: {instances: 1, replicas: 1}}]"), "spec.components[0].traits[0].properties.replicas", "not both"},
		{"no weight", fmt.Sprintf(two, "[{type: spreadscaler, properties: {instances: 1, spread: [{name: s, weight: 0}]}}]"), "spec.components[0].traits[0].properties", "all weights are 0"},
		{"spread twice", fmt.Sprintf(two, "[{type: spreadscaler, properties: {instances: 1, spread: [{name: s}, {name: s}]}}]"),
			"spec.components[0].traits[0].properties.spread[1].name", "Duplicate"},
		{"two scalers", fmt.Sprintf(two, "[{type: spreadscaler, properties: {instances: 1}}, {type: daemonscaler, properties: {instances: 1}}]"),
			"spec.components[0].traits[1]", "one scaler"},
		{"shared with image", "  components: [{name: a, type: component, properties: {image: x, application: {name: o, component: c}}}]",
			"spec.components[0].properties", "both 'image' and 'application'"},
		{"shared with config", "  components: [{name: a, type: component, properties: {application: {name: o, component: c}, config: [{name: x}]}}]",
			"spec.components[0].properties.config", "cannot specify additional 'config'"},
		{"shared with scaler", "  components: [{name: a, type: component, properties: {application: {name: o, component: c}}, traits: [{type: spreadscaler, properties: {instances: 1}}]}]",
			"spec.components[0].traits[0]", "cannot include a scaler trait"},
		{"secret without policy", "  components: [{name: a, type: component, properties: {image: x, secrets: [{name: s, properties: {policy: p, key: k}}]}}]",
			"spec.components[0].properties.secrets[0].properties.policy", "unknown policy 'p'"},
		{"secret without key", "  components: [{name: a, type: component, properties: {image: x, secrets: [{name: s, properties: {policy: p, key: ''}}]}}]",
			"spec.components[0].properties.secrets[0].properties.key", "name what the backend"},
		{"config name", "  components: [{name: a, type: component, properties: {image: x, config: [{name: a.b}]}}]",
			"spec.components[0].properties.config[0].name", "used by this very name"},
		{"config like a secret", "  components: [{name: a, type: component, properties: {image: x, config: [{name: SECRETS}]}}]",
			"spec.components[0].properties.config[0].name", "references to secrets"},
		{"config twice", "  components: [{name: a, type: component, properties: {image: x, config: [{name: c-d, properties: {a: b}}, {name: c_d, properties: {a: c}}]}}]",
			"spec.components[0].properties.config[1].name", "with other values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs, _ := Validate(decoded(t, c.spec))
			for _, e := range errs {
				if e.Field == c.field && strings.Contains(e.Error(), c.text) {
					return
				}
			}
			t.Errorf("errors are %v, want one on %s with %q", errs, c.field, c.text)
		})
	}
}

func TestValidate_WhatOnlyTheAPIServerSees(t *testing.T) {
	good := v1beta1.Component{Name: "a", Type: "component", Properties: v1beta1.ComponentProperties{Image: "x"}}
	of := func(change func(*v1beta1.Application)) *v1beta1.Application {
		app := &v1beta1.Application{}
		app.Name = "app"
		app.Spec.Components = []v1beta1.Component{*good.DeepCopy()}
		change(app)
		return app
	}
	for _, c := range []struct {
		name  string
		app   *v1beta1.Application
		field string
	}{
		{"unknown type", of(func(a *v1beta1.Application) { a.Spec.Components[0].Type = "widget" }), "spec.components[0].type"},
		{"no components", of(func(a *v1beta1.Application) { a.Spec.Components = nil }), "spec.components"},
		{"name", of(func(a *v1beta1.Application) { a.Name = "a.b" }), "metadata.name"},
		{"version latest", of(func(a *v1beta1.Application) { a.Annotations = map[string]string{"version": "latest"} }), "metadata.annotations[version]"},
		{"version none", of(func(a *v1beta1.Application) { a.Annotations = map[string]string{"version": "none"} }), "metadata.annotations[version]"},
		{"trait without properties", of(func(a *v1beta1.Application) {
			a.Spec.Components[0].Traits = []v1beta1.Trait{{Type: "spreadscaler"}}
		}), "spec.components[0].traits[0].properties"},
		{"trait without type", of(func(a *v1beta1.Application) {
			a.Spec.Components[0].Traits = []v1beta1.Trait{{}}
		}), "spec.components[0].traits[0].type"},
		{"broken JSON", of(func(a *v1beta1.Application) {
			a.Spec.Components[0].Traits = []v1beta1.Trait{{Type: "link", Properties: &apiextensionsv1.JSON{Raw: []byte("{")}}}
		}), "spec"},
		{"too large", of(func(a *v1beta1.Application) {
			a.Spec.Components[0].Properties.Config = []v1beta1.ConfigProperty{{Name: "c", Properties: map[string]string{"v": strings.Repeat("x", MaxBytes)}}}
		}), "spec"},
		{"too many", of(func(a *v1beta1.Application) {
			a.Spec.Components = make([]v1beta1.Component, MaxComponents+1)
		}), "spec.components"},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs, _ := Validate(c.app)
			for _, e := range errs {
				if e.Field == c.field {
					return
				}
			}
			t.Errorf("errors are %v, want one on %s", errs, c.field)
		})
	}
}

func TestValidateWadm_ShapesThatCrashWadm(t *testing.T) {
	for _, properties := range []string{"{instances: 1}", "{namespace: 1, package: p, interfaces: [x]}", "{namespace: n, package: p, interfaces: x}",
		"{namespace: n, package: p, interfaces: [1]}", "{namespace: n, package: p, interfaces: [], name: null}"} {
		app := decoded(t, "  components: [{name: a, type: component, properties: {image: x}, traits: [{type: link, properties: "+properties+"}]}]")
		if err := ValidateWadm(app); err == nil {
			t.Errorf("a link with properties %s is accepted", properties)
		}
	}
}

func TestOAMKeys(t *testing.T) {
	for key, want := range map[string]bool{
		"foo": true, "app.oam.io/name": true, "dash-period.numb3r/any_v4lue": true,
		"my_prefix/app-name": false, "1my_prefix/app-name": false, "my_prefix---/app-name": false, "my_prefix/app-name...": false,
		strings.Repeat("a", 255): false, "": false, "/a": false, "a/": false,
	} {
		if got := oamKey(key); got != want {
			t.Errorf("oamKey(%q) = %t", key, got)
		}
	}
}

func TestValidate_Depth(t *testing.T) {
	deep := []byte(strings.Repeat("[", MaxDepth+2) + strings.Repeat("]", MaxDepth+2))
	for _, kind := range []string{TraitLink, TraitSpread, "x-foreign"} {
		app := decoded(t, "  components: [{name: a, type: component, properties: {image: x}}]")
		app.Spec.Components[0].Traits = []v1beta1.Trait{{Type: kind, Properties: &apiextensionsv1.JSON{Raw: deep}}}
		errs, _ := Validate(app)
		if len(errs) != 1 || errs[0].Field != "spec.components[0].traits[0].properties" || !strings.Contains(errs[0].Detail, "at most 64 levels") {
			t.Errorf("%s: %v", kind, errs)
		}
	}
}

func TestValidate_OneNameForTwoConfigs(t *testing.T) {
	app := decoded(t, "  components: [{name: a, type: component, properties: {image: x, config: [{name: c}]}}, {name: b, type: component, properties: {image: x, config: [{name: c, properties: {}}]}}]")
	errs, warnings := Validate(app)
	if len(errs) > 0 || !strings.Contains(strings.Join(warnings, "\n"), "spec.components[0].properties.config[0].properties: configuration \"c\" without properties") {
		t.Errorf("%v %q", errs, warnings)
	}
}

// Metadata is checked without the spec: whoever goes back to an older version must not be stopped by the newer one.
func TestValidateMetadata(t *testing.T) {
	app := &v1beta1.Application{}
	app.Name, app.Annotations = "app", map[string]string{"version": "latest"}
	app.Spec.Components = []v1beta1.Component{{Name: "no image"}}
	errs, _ := ValidateMetadata(app)
	if len(errs) != 1 || errs[0].Field != "metadata.annotations[version]" {
		t.Errorf("%v", errs)
	}
}
