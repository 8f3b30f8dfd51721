//go:build e2e

package e2e

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/test/wasm/sign"
)

const (
	secretImage = "ghcr.io/trellis-operator/secret:0.1.0"
	// secretFile answers a path with a hash of the secret of that name.
	secretFile = "test/fixtures/components/secret.wasm"
	// secretWithin is how long it may take until an application says that it was refused a secret.
	secretWithin = 60 * time.Second
)

// secretPolicy and secretReference are what makes the example's component one that has a secret.
const (
	secretPolicy = "spec:\n  policies:\n    - name: own\n      type: policy.secret.wasmcloud.dev/v1alpha1\n      properties: {backend: kube}\n"

	secretReference = "image: " + secretImage + "\n        secrets:\n          - name: password\n" +
		"            properties: {policy: own, key: app, field: password}\n"

	// secretGrant is that of an application, by its namespace and name.
	secretGrant = `
apiVersion: k8s.wasmcloud.dev/v1alpha1
kind: SecretGrant
metadata: {name: app}
spec:
  from: [{namespaces: [%[1]s], lattices: [default], applications: [%[2]s], components: [http-component]}]
  secrets: [{name: app, keys: [password]}]
`
	// secretReader lets the ServiceAccount of that name in the namespace of an application read the Secret.
	secretReader = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: app}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [app], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: app}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: app}
subjects: [{kind: ServiceAccount, name: reader, namespace: %[1]s}]
`
)

// A component gets the value of a Secret by each of the three ways in, since the host group that asks is known: of its own
// namespace because whoever deployed it may read it, and of another one as a ServiceAccount or by a grant. It gets none once
// the grant is gone. A value is nowhere but in the Secret and in the component.
func TestASecret(t *testing.T) {
	a := newApplication(t, "application.yaml")
	pushSigned(t, secretImage, signedBy("e2e secret", "secret"))
	a.hosts(t)
	own := makeSecret(t, a.namespace)
	t.Run("of the own namespace", func(t *testing.T) {
		a.getsSecret(t, a.withSecret("backend: kube"), own)
		condition(t, a.namespace, "whc/hosts", "Ready", "True", "") // others of the lattice may have answered before; now it has a log
		a.remove(t)
	})
	vault := makeNamespace(t)
	theirs := makeSecret(t, vault)
	t.Run("as a ServiceAccount", func(t *testing.T) {
		kubectl(t, "create", "serviceaccount", "reader", "-n", a.namespace)
		apply(t, vault, fmt.Sprintf(secretReader, a.namespace))
		a.getsSecret(t, a.withSecret("backend: kube, namespace: "+vault+", serviceAccount: reader"), theirs)
		a.remove(t)
		kubectl(t, "delete", "rolebinding", "app", "-n", vault, "--timeout=30s")
	})
	granted, grant := a.withSecret("backend: kube, namespace: "+vault), fmt.Sprintf(secretGrant, a.namespace, a.name)
	t.Run("without a grant", func(t *testing.T) {
		apply(t, a.namespace, granted)
		condition(t, a.namespace, "application/"+a.name, "Ready", "False", "unauthorized")
		a.awaitRefusal(t)
	})
	t.Run("by a grant", func(t *testing.T) {
		apply(t, vault, grant)
		a.getsSecret(t, granted, theirs)
		nowhere(t, canaryPrefix)
		a.remove(t)
	})
	t.Run("without the grant again", func(t *testing.T) {
		kubectl(t, "delete", "secretgrant", "app", "-n", vault, "--timeout=30s")
		apply(t, a.namespace, granted)
		condition(t, a.namespace, "application/"+a.name, "Ready", "False", "unauthorized")
	})
	a.remove(t)
}

// makeSecret makes the Secret that the component asks for, and returns its value.
func makeSecret(t *testing.T, namespace string) (canary string) {
	t.Helper()
	canary = newCanary()
	apply(t, namespace, "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\nstringData: {password: "+canary+"}\n")
	return canary
}

// withSecret is the manifest of a component that asks for the Secret by a policy with these properties.
func (a *application) withSecret(properties string) string {
	policy := strings.Replace(secretPolicy, "backend: kube", properties, 1)
	return strings.Replace(strings.Replace(a.text, exampleImage, secretReference, 1), "spec:\n", policy, 1)
}

// getsSecret deploys the manifest and waits until its component has the value.
func (a *application) getsSecret(t *testing.T, manifest, value string) {
	t.Helper()
	apply(t, a.namespace, manifest)
	a.awaitSecret(t, value)
}

// remove deletes the application, so that the next one fetches anew.
func (a *application) remove(t *testing.T) {
	t.Helper()
	kubectl(t, "delete", "application", a.name, "-n", a.namespace, "--timeout=30s")
	awaitNothingLeft(t, a.name, 30*time.Second)
}

// pushSigned gives the component to the registry with a token, as wash signs it: one without gets no secrets.
func pushSigned(t *testing.T, image string, o sign.Options) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "signed.wasm")
	if err := os.WriteFile(file, signedWith(t, o), 0o600); err != nil {
		t.Fatal(err)
	}
	push(t, image, file)
}

// awaitSecret waits for the hash of the value in the answer.
func (a *application) awaitSecret(t *testing.T, value string) {
	t.Helper()
	hash := fnv.New64a()
	_, _ = hash.Write([]byte("trellis" + value)) // never fails
	want := fmt.Sprintf("string %016x", hash.Sum64())
	eventually(t, 2*time.Minute, "the hash of the secret", func() error {
		url, err := a.url(t)
		if err != nil {
			return err
		}
		return answers(t, url+"password", want)
	})
}

func (a *application) awaitRefusal(t *testing.T) {
	t.Helper()
	eventually(t, secretWithin, "an Event says why the secret was refused", func() error {
		out, err := try(t, "", "get", "events", "-n", a.namespace, "-o",
			`jsonpath={range .items[?(@.reason=="SecretRefused")]}{.involvedObject.kind}/{.involvedObject.name} {.message}{"\n"}{end}`)
		if err == nil && !(strings.Contains(out, "Application/"+a.name+" ") && strings.Contains(out, "SecretGrant")) {
			err = fmt.Errorf("events: %q", out)
		}
		return err
	})
}
