package manifest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

const secretsEverywhere = `
policies:
  - {name: own, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: other}}
  - {name: own, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, namespace: team-a}}
  - {name: bare, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: vault}}
  - {name: expose, type: policy.expose.wasmcloud.dev/v1alpha1}
components:
  - name: api
    type: component
    properties:
      image: example.com/api:1
      secrets:
        - {name: password, properties: {policy: own, key: app, field: password, version: "7"}}
        - {name: lost, properties: {policy: missing, key: app}}
        - {name: wrong, properties: {policy: expose, key: app}}
    traits:
      - type: link
        properties:
          {namespace: wasmcloud, package: postgres, interfaces: [query], target: {name: db, secrets: [{name: pg, properties: {policy: bare, key: pg}}]}}
      - type: link
        properties:
          {namespace: a, package: b, interfaces: [c], target: {name: other, secrets: [{name: nobody, properties: {policy: own, key: nobody}}]}}
      - type: link
        properties: {namespace: wasmcloud, package: postgres, interfaces: [query], target: {name: shared, secrets: [{name: pg, properties: {policy: own, key: shared}}]}}
      - {type: link, properties: {namespace: a}}
      - {type: link}
      - {type: linkdef, properties: {namespace: a, package: b, interfaces: [c], target: {name: db, secrets: [{name: x, properties: {policy: own, key: x}}]}}}
  - name: db
    type: capability
    properties: {image: example.com/db:1, secrets: [{name: default, properties: {policy: own, key: db, field: password}}]}
  - name: other
    type: component
    properties: {image: example.com/other:1}
  - name: shared
    type: capability
    properties: {application: {name: platform, component: db}}
  - name: web
    type: capability
    properties: {image: example.com/web:1}
    traits:
      - type: link
        properties: {namespace: wasi, package: http, interfaces: [incoming-handler], target: other, source: {secrets: [{name: tls, properties: {policy: own, key: tls, field: tls.key}}]}}
`

// reference is a SecretReference with paths as text.
type reference struct {
	Path, Policy, Name           string
	Receivers                    []string
	Backend, Key, Field, Version string
	Properties                   map[string]string
}

func TestSecretReferences(t *testing.T) {
	var spec v1beta1.ApplicationSpec
	if err := yaml.UnmarshalStrict([]byte(secretsEverywhere), &spec); err != nil {
		t.Fatal(err)
	}
	var got []reference
	for _, r := range manifest.SecretReferences(&spec) {
		got = append(got, reference{r.Path.String(), r.PolicyPath.String(), r.Name, r.Receivers, r.Backend, r.Key, r.Field, r.Version, r.Properties})
	}
	own := map[string]string{"namespace": "team-a"}
	want := []reference{
		{"spec.components[0].properties.secrets[0]", "spec.policies[1]", "password", []string{"api"}, "kube", "app", "password", "7", own},
		{"spec.components[0].traits[0].properties.target.secrets[0]", "spec.policies[2]", "pg", []string{"db"}, "vault", "pg", "", "", map[string]string{}},
		{"spec.components[0].traits[1].properties.target.secrets[0]", "spec.policies[1]", "nobody", []string{}, "kube", "nobody", "", "", own},
		{"spec.components[0].traits[2].properties.target.secrets[0]", "spec.policies[1]", "pg", []string{}, "kube", "shared", "", "", own},
		{"spec.components[1].properties.secrets[0]", "spec.policies[1]", "default", []string{"db"}, "kube", "db", "password", "", own},
		{"spec.components[4].traits[0].properties.source.secrets[0]", "spec.policies[1]", "tls", []string{"web"}, "kube", "tls", "tls.key", "", own},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if spec.Policies[1].Properties["backend"] != "kube" {
		t.Error("the manifest was changed")
	}
}
