//go:build peers && linux

package peers

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// refreshInterval is how often External Secrets asks the sources.
const refreshInterval = "2s"

// external is External Secrets for one namespace, and the sources that it reads.
type external struct {
	*lab
	// namespace is the application's, source that of the Secret which is copied, operator that of External Secrets itself.
	namespace, source, operator string
	// example are the objects of the page about secrets, in these namespaces.
	example map[string]*unstructured.Unstructured
	// copied and faked are the ExternalSecrets, and the Secrets that come of them.
	copied, faked string
	seed          string
}

// value is one that a component asks for: where External Secrets writes it.
type value struct {
	secret, field string
	value         []byte
}

func newExternal(t *testing.T, l *lab) *external {
	t.Helper()
	e := &external{lab: l, namespace: l.namespace(t, "external"), source: l.emptyNamespace(t, "source"), operator: l.emptyNamespace(t, "operator"),
		copied: "database", faked: "faked", seed: rand.Text()}
	e.example = e.readExample(t)
	return e
}

// readExample reads the objects of the page about secrets, for the namespaces of this test.
func (e *external) readExample(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root(t), "docs/spec/secrets.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### Values from elsewhere\n")
	_, section, _ = strings.Cut(section, "```yaml\n")
	section, _, _ = strings.Cut(section, "```")
	all, err := objects([]byte(strings.NewReplacer("team-a", e.namespace, "databases", e.source).Replace(section)))
	if err != nil {
		t.Fatal(err)
	}
	example := map[string]*unstructured.Unstructured{}
	for _, u := range all {
		example[u.GetKind()] = u
	}
	for _, name := range []string{"ServiceAccount", "Role", "RoleBinding", "SecretStore", "ExternalSecret", "Application"} {
		if example[name] == nil {
			t.Fatalf("the page about secrets has no %s under \"Values from elsewhere\"", name)
		}
	}
	return example
}

// values are those of a generation, by the names by which the component asks for them. The keystore is no UTF-8.
func (e *external) values(generation string) map[string]value {
	return map[string]value{
		"db_password": {e.copied, "password", []byte("copied " + generation + e.seed)},
		"token":       {e.faked, "token", []byte("faked " + generation + e.seed)},
		"keystore":    {e.faked, "keystore", []byte("\xff\x00\xfe " + generation + e.seed)},
	}
}

// write puts the values of a generation at their sources: the Secret of the other namespace, and the fake store.
func (e *external) write(t *testing.T, generation string) {
	t.Helper()
	values := e.values(generation)
	encoded := func(name string) string { return base64.StdEncoding.EncodeToString(values[name].value) }
	for _, u := range []*unstructured.Unstructured{
		object(t, fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {namespace: %s, name: pg-shop}, data: {password: %s}}", e.source, encoded("db_password"))),
		// Where the cluster has an External Secrets of its own, that one leaves a store of this controller alone.
		object(t, fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {namespace: %[1]s, name: %[2]s}
spec:
  controller: %[1]s
  provider: {fake: {data: [{key: /shop/token, value: %[3]q}, {key: /shop/keystore, value: %[4]s}]}}
`, e.namespace, e.faked, values["token"].value, encoded("keystore"))),
	} {
		if err := e.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.ForceOwnership, client.FieldOwner("peers")); err != nil {
			t.Fatal(err)
		}
	}
}

// connect makes the store of the page, and the ExternalSecrets.
func (e *external) connect(t *testing.T) {
	t.Helper()
	set(t, e.example["SecretStore"], e.namespace, "spec", "controller")
	set(t, e.example["ExternalSecret"], refreshInterval, "spec", "refreshInterval")
	for _, name := range []string{"ServiceAccount", "Role", "RoleBinding", "SecretStore", "ExternalSecret"} {
		e.create(t, e.example[name])
	}
	e.create(t, object(t, fmt.Sprintf(`
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {namespace: %[1]s, name: %[2]s}
spec:
  refreshInterval: %[3]s
  secretStoreRef: {kind: SecretStore, name: %[2]s}
  data:
    - {secretKey: token, remoteRef: {key: /shop/token}}
    - {secretKey: keystore, remoteRef: {key: /shop/keystore, decodingStrategy: Base64}}
`, e.namespace, e.faked, refreshInterval)))
}

func set(t *testing.T, u *unstructured.Unstructured, value string, fields ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(u.Object, value, fields...); err != nil {
		t.Fatal(err)
	}
}
