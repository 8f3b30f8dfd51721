//go:build e2e

package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

const (
	refusalsImage = "ghcr.io/trellis-operator/refusals:0.1.0"
	refusalsSeed  = "e2e refusals"
)

// refusalsGroups are two host groups, and the applications are for the hosts of the first.
const refusalsGroups = `
apiVersion: k8s.wasmcloud.dev/v1alpha1
kind: WasmCloudHostConfig
metadata: {name: hosts}
spec: {lattice: default, version: 1.9.2, hostLabels: {refusals: %[1]s}}
---
apiVersion: k8s.wasmcloud.dev/v1alpha1
kind: WasmCloudHostConfig
metadata: {name: others}
spec: {lattice: default, version: 1.9.2}
`

// refusalsSecrets: the application's namespace has a Secret, a token, and accounts with a right and without one.
const refusalsSecrets = `
apiVersion: v1
kind: Secret
metadata: {name: app}
stringData: {password: %[1]s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata: {name: token, annotations: {kubernetes.io/service-account.name: reader}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: app}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [app], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: app}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: app}
subjects: [{kind: ServiceAccount, name: reader}]
`

// refusalsVault is another namespace, whose owner grants one of two keys.
const refusalsVault = `
apiVersion: v1
kind: Secret
metadata: {name: app}
stringData: {username: %[1]s, password: %[1]s}
---
apiVersion: k8s.wasmcloud.dev/v1alpha1
kind: SecretGrant
metadata: {name: app}
spec:
  from: [{namespaces: [%[2]s], lattices: [default], applications: [%[2]s-granted, %[2]s-key], components: [api]}]
  secrets: [{name: app, keys: [username]}]
`

const refusalsApp = `
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: %[1]s, labels: {k8s.wasmcloud.dev/lattice: %[7]s}}
spec:
  policies: [{name: p, type: policy.secret.wasmcloud.dev/v1alpha1, properties: {backend: kube, %[3]s}}]
  components:
    - name: api
      type: component
      properties:
        image: %[2]s
        secrets: [{name: password, properties: {policy: p, key: %[4]s, field: %[5]s}}]
      traits: [{type: spreadscaler, properties: {instances: 1, spread: [{name: here, requirements: {refusals: %[6]s}}]}}]
`

// refusalScene is what is there for the refusals.
type refusalScene struct {
	namespace, vault, value string
	hosts, others           *asker
}

func newRefusalScene(t *testing.T) *refusalScene {
	t.Helper()
	s := &refusalScene{namespace: makeNamespace(t), vault: makeNamespace(t), value: newCanary()}
	pushSigned(t, refusalsImage, signedBy(refusalsSeed, "refusals"))
	apply(t, s.namespace, fmt.Sprintf(refusalsSecrets, s.value))
	apply(t, s.vault, fmt.Sprintf(refusalsVault, s.value, s.namespace))
	apply(t, s.namespace, fmt.Sprintf(refusalsGroups, s.namespace))
	for _, a := range refusalApps(s.vault) {
		s.apply(t, a)
	}
	s.hosts, s.others = newAsker(t, s.namespace, "hosts"), newAsker(t, s.namespace, "others")
	return s
}

func signedBy(seed, name string) sign.Options {
	account, module := sign.Seeds(seed)
	return sign.Options{Account: account, Module: module, Name: name, IssuedAt: time.Unix(1, 0)}
}

// refusalApplication has one secret by one policy.
type refusalApplication struct {
	name       string
	properties map[string]string
	key, field string
	lattice    string
}

// refusalApps by what is special about them; the first is let in.
func refusalApps(vault string) []refusalApplication {
	return []refusalApplication{
		{"own", nil, "app", "password", latticeName},
		{"account", map[string]string{"serviceAccount": "reader"}, "app", "password", latticeName},
		{"granted", map[string]string{"namespace": vault}, "app", "username", latticeName},
		{"stranger", map[string]string{"serviceAccount": "stranger"}, "app", "password", latticeName},
		{"vault", map[string]string{"namespace": vault}, "app", "password", latticeName},
		{"key", map[string]string{"namespace": vault}, "app", "password", latticeName},
		{"token", nil, "token", "token", latticeName},
		{"typo", map[string]string{"namepsace": vault}, "app", "password", latticeName},
		{"foreign", nil, "app", "password", "foreign"},
	}
}

func (s *refusalScene) apply(t *testing.T, a refusalApplication) {
	t.Helper()
	var properties []string
	for name, value := range a.properties {
		properties = append(properties, name+": "+value)
	}
	apply(t, s.namespace, fmt.Sprintf(refusalsApp, s.nameOf(a.name), refusalsImage, strings.Join(properties, ", "), a.key, a.field, s.namespace, a.lattice))
}

func (s *refusalScene) nameOf(application string) string { return s.namespace + "-" + application }

// ofTheApplication is what the host asks that runs one of the applications.
func (s *refusalScene) ofTheApplication(t *testing.T, name string) question {
	t.Helper()
	for _, a := range refusalApps(s.vault) {
		if a.name == name {
			mark := rand.Text()
			return question{mark: mark, application: s.nameOf(name), component: signedBy(refusalsSeed, mark), host: s.hosts.host,
				reference: secret.Reference{Name: "password", Backend: "kube", Key: a.key, Field: &a.field, Policy: policyOf(t, a.properties)}}
		}
	}
	t.Fatalf("there is no application %s", name)
	return question{}
}

func policyOf(t *testing.T, properties map[string]string) string {
	t.Helper()
	if properties == nil {
		properties = map[string]string{}
	}
	text, err := json.Marshal(map[string]any{"type": "properties.secret.wasmcloud.dev/v1alpha1", "properties": properties})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
