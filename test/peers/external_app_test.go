//go:build peers && linux

package peers

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/trellis-operator/trellis/test/wasm/sign"
)

// keeper is an application that has secrets: it answers the name of one with a hash of its value.
type keeper struct {
	namespace, name string
	port            int
	// policies and secrets are JSON.
	policies, secrets string
}

const keeperImage = "ghcr.io/trellis-operator/external:peers"

// application is one that has the secret of the page's application, to the letter, and those of the fake store.
func (e *external) application(t *testing.T) keeper {
	t.Helper()
	e.push(t, keeperImage, signed(t))
	components, _, err := unstructured.NestedSlice(e.example["Application"].Object, "spec", "components")
	if err != nil || len(components) != 1 {
		t.Fatalf("the page's application has %d components: %v", len(components), err)
	}
	secrets, _, err := unstructured.NestedSlice(components[0].(map[string]any), "properties", "secrets")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token", "keystore"} {
		secrets = append(secrets, map[string]any{"name": name, "properties": map[string]any{"policy": "own", "key": e.faked, "field": name}})
	}
	spec := e.example["Application"].Object["spec"].(map[string]any)
	// Its name is free in the lattice, where names of earlier tests may be kept; hosts serve all applications of their lattice.
	return keeper{namespace: e.namespace, name: e.namespace, port: 30000 + rand.IntN(2000), policies: encode(t, spec["policies"]), secrets: encode(t, secrets)}
}

func encode(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// signed is a component with a token, as wash signs it: one without gets no secrets.
func signed(t *testing.T) string {
	t.Helper()
	code, err := os.ReadFile(filepath.Join(root(t), "test/fixtures/components/secret.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	account, module := sign.Seeds("external secrets")
	if code, err = sign.Component(code, sign.Options{Account: account, Module: module, Name: "external", IssuedAt: time.Unix(1, 0)}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "external.wasm")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (a keeper) object(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	return object(t, fmt.Sprintf(`
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {namespace: %s, name: %s}
spec:
  policies: %s
  components:
    - name: keeper
      type: component
      properties:
        image: %s
        secrets: %s
      traits:
        - {type: daemonscaler, properties: {instances: 10}}
    - name: httpserver
      type: capability
      properties:
        image: ghcr.io/wasmcloud/http-server:0.27.0
      traits:
        - {type: daemonscaler, properties: {instances: 1}}
        - type: link
          properties:
            target: keeper
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            source: {config: [{name: address, properties: {address: "0.0.0.0:%d"}}]}
`, a.namespace, a.name, a.policies, keeperImage, a.secrets, a.port))
}
