package manifest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trellis-operator/trellis/internal/manifest"
)

const newLink = "{type: link, properties: {namespace: n, package: p, interfaces: [i], name: default, " +
	"source: {config: [{name: s, properties: {k: v}}]}, target: {name: b, config: [{name: t, properties: {k: v}}]}}}"

// Old names and forms mean the same as the new ones.
func TestParse_OldForms(t *testing.T) {
	scaler := "{type: spreadscaler, properties: {instances: 3, spread: [{name: s, requirements: {}, weight: 100}]}}"
	for _, c := range []struct{ name, components, same string }{
		{"actor", "{name: a, type: actor, properties: {image: x}}", "{name: a, type: component, properties: {image: x}}"},
		{"replicas", withTraits("{type: spreadscaler, properties: {replicas: 3, spread: [{name: s, requirements: {}, weight: 100}]}}"), withTraits(scaler)},
		{"no requirements", withTraits("{type: spreadscaler, properties: {instances: 3, spread: [{name: s, weight: 100}]}}"), withTraits(scaler)},
		{"no weight", withTraits("{type: spreadscaler, properties: {instances: 3, spread: [{name: s, requirements: {}}]}}"), withTraits(scaler)},
		{"link of strings", withTraits("{type: link, properties: {namespace: n, package: p, interfaces: [i], target: b, " +
			"source_config: [{name: s, properties: {k: v}}], target_config: [{name: t, properties: {k: v}}]}}"), withTraits(newLink)},
		{"old target, new source", withTraits("{type: link, properties: {namespace: n, package: p, interfaces: [i], target: b, " +
			"source: {config: [{name: s, properties: {k: v}}]}, target_config: [{name: t, properties: {k: v}}]}}"), withTraits(newLink)},
		{"new target, old source", withTraits("{type: link, properties: {namespace: n, package: p, interfaces: [i], " +
			"source_config: [{name: s, properties: {k: v}}], target: {name: b, config: [{name: t, properties: {k: v}}]}}}"), withTraits(newLink)},
		{"source beats source_config", withTraits("{type: link, properties: {namespace: n, package: p, interfaces: [i], source_config: [{name: z}], " +
			"source: {config: [{name: s, properties: {k: v}}]}, target: {name: b, config: [{name: t, properties: {k: v}}]}}}"), withTraits(newLink)},
		{"target object beats target_config", withTraits("{type: link, properties: {namespace: n, package: p, interfaces: [i], target_config: [{name: z}], " +
			"source: {config: [{name: s, properties: {k: v}}]}, target: {name: b, config: [{name: t, properties: {k: v}}]}}}"), withTraits(newLink)},
		{"unknown members of a link", withTraits("{type: link, properties: {namespace: n, package: p, interfaces: [i], more: 1, " +
			"source: {more: 1, config: [{name: s, properties: {k: v}}]}, target: {more: 1, name: b, config: [{name: t, properties: {k: v}}]}}}"), withTraits(newLink)},
		{"null for no config", "{name: a, type: component, properties: {image: x, config: [{name: c, properties: null}]}}",
			"{name: a, type: component, properties: {image: x, config: [{name: c}]}}"},
		{"null for no traits", "{name: a, type: component, properties: {image: x}, traits: null}", "{name: a, type: component, properties: {image: x}}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := wadmApp(t, "{name: app, annotations: {}}", "", c.components)
			b := wadmApp(t, "{name: app, annotations: {}}", "", c.same)
			if diff := cmp.Diff(manifest.Parse("app", &b.Spec), manifest.Parse("app", &a.Spec), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-new form +old form:\n%s", diff)
			}
			if err := manifest.ValidateWadm(a); err != nil {
				t.Error(err)
			}
			if errs, _ := manifest.Validate(a); len(errs) > 0 {
				t.Errorf("the API server refuses it: %v", errs)
			}
		})
	}
}

// What is read is what was written: no alias is replaced before it is stored.
func TestDecodeWadm_KeepsOldForms(t *testing.T) {
	app := wadmApp(t, "{name: app, annotations: {}}", "", "{name: a, type: actor, properties: {image: x}, traits: "+
		"[{type: spreadscaler, properties: {replicas: 1}}, {type: link, properties: {namespace: n, package: p, interfaces: [], target: a, source_config: []}}]}")
	c := app.Spec.Components[0]
	if c.Type != "actor" || string(c.Traits[0].Properties.Raw) != `{"replicas":1}` ||
		string(c.Traits[1].Properties.Raw) != `{"interfaces":[],"namespace":"n","package":"p","source_config":[],"target":"a"}` {
		t.Errorf("changed: %s %s %s", c.Type, c.Traits[0].Properties.Raw, c.Traits[1].Properties.Raw)
	}
}

// A reference to a shared component, and a link that crosses over.
func TestParse_Shared(t *testing.T) {
	app := wadmApp(t, "{name: My.App, annotations: {}}", "",
		"{name: srv, type: capability, properties: {application: {name: Shared-Http, component: http.server}}, traits: ["+
			"{type: link, properties: {namespace: n, package: p, interfaces: [i], target: c, source: {config: [{name: Addr, properties: {a: b}}, {name: Theirs}]}}}]}, "+
			"{name: c, type: component, properties: {image: x}}")
	m := manifest.Parse(app.Name, &app.Spec)
	if srv := m.Components[0]; srv.ID != "shared_http-http_server" || srv.Scaler != nil || srv.Shared == nil {
		t.Errorf("the shared provider is %+v", srv)
	}
	if c := m.Components[1]; c.ID != "my_app-c" || c.Scaler != nil {
		t.Errorf("the component is %+v", c)
	}
	l := m.Links[0]
	if diff := cmp.Diff([]string{"shared_http-http_server", "my_app-c", "my_app-addr", "Theirs"}, append([]string{l.Source, l.Target}, l.SourceConfig...)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Theirs"}, m.External); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	again := wadmApp(t, "{name: Other, annotations: {}}", "", "{name: srv, type: capability, properties: {id: given, application: {name: o, component: c}}}")
	if id := manifest.Parse("Other", &again.Spec).Components[0].ID; id != "given" {
		t.Errorf("a reference with an explicit id has the id %s", id)
	}
}

func TestParse_Secrets(t *testing.T) {
	app := wadmApp(t, "{name: My.App, annotations: {}}",
		"{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: vault-prod, role_name: test, mount_path: jwt}}",
		"{name: a, type: component, properties: {image: x, config: [{name: C, properties: {k: v}}], secrets: ["+
			"{name: Test-Secret, properties: {policy: p, key: secret/test, field: f, version: '2'}}]}}")
	m := manifest.Parse(app.Name, &app.Spec)
	if diff := cmp.Diff([]string{"my_app-c", "SECRET_my_app-test_secret"}, m.Components[0].Config); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := map[string]string{
		"name": "Test-Secret", "type": "secret.wasmcloud.dev/v1alpha1", "backend": "vault-prod", "key": "secret/test", "field": "f", "version": "2",
		"policy": `{"type":"properties.secret.wasmcloud.dev/v1alpha1","properties":{"mount_path":"jwt","role_name":"test"}}`,
	}
	if diff := cmp.Diff(want, m.Configs[1].Values); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
