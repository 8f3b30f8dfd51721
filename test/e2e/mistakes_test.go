//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// serverErrors are words of answers that no mistake of a user may cause.
var serverErrors = []string{"InternalError", "Internal error", "Error from server: ", "panic", "500"}

func TestWrongManifests(t *testing.T) {
	a := newApplication(t, "application.yaml")
	const component = "type: component\n"
	for name, tc := range map[string]struct {
		old, new string
		want     []string
	}{
		"an unknown component type":   {component, "type: widget\n", []string{"spec.components[0].type", "widget", "capability"}},
		"no image":                    {exampleImage, "{}\n", []string{"spec.components[0].properties.image", "Required"}},
		"two components of one name":  {"name: httpserver\n", "name: http-component\n", []string{"http-component"}},
		"a link to nothing":           {"target: http-component\n", "target: nobody\n", []string{"spec.components[1].traits[1].properties.target", "nobody"}},
		"an unknown field":            {component, component + "      typo: 1\n", []string{"typo"}},
		"a number for a name":         {"name: http-component\n", "name: 7\n", []string{"name"}},
		"a scaler without a number":   {"instances: 100\n", "instances: many\n", []string{"spec.components[0].traits[0].properties", "many"}},
		"a wrong field":               {"  components:\n", "  parts:\n", []string{"spec.parts"}},
		"a name that is not possible": {"name: " + a.name + "\n", "name: a.b\n", []string{"a.b"}},
	} {
		for _, how := range []string{"--server-side=false", "--server-side=true"} {
			t.Run(name+" "+how, func(t *testing.T) {
				manifest := strings.Replace(a.text, tc.old, tc.new, 1)
				if manifest == a.text {
					t.Fatal("the example has changed; adapt this test")
				}
				refused(t, a.namespace, manifest, how, tc.want)
			})
		}
	}
	if out := kubectl(t, "get", "applications", "-n", a.namespace, "-o", "name"); out != "" {
		t.Errorf("accepted: %s", out)
	}
}

func TestWrongHostConfigs(t *testing.T) {
	namespace := makeNamespace(t)
	config := func(more string) string {
		return "apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: WasmCloudHostConfig\nmetadata: {name: wrong}\nspec:\n  version: 1.9.2\n" + more
	}
	for more, want := range map[string][]string{
		"  lattice: a.b\n":                      {"spec.lattice", "one NATS token"},
		"  lattice: \"\"\n":                     {"spec.lattice"},
		"  hostReplicas: 1\n":                   {"spec.lattice", "Required"},
		"  lattice: x\n  hostReplicas: -1\n":    {"spec.hostReplicas"},
		"  lattice: x\n  natsClientPort: 70000": {"spec.natsClientPort"},
	} {
		refused(t, namespace, config(more), "--server-side=true", want)
		refused(t, namespace, config(more), "--server-side=false", want)
	}

	t.Run("a Secret that is not there", func(t *testing.T) {
		apply(t, namespace, config("  lattice: default\n  secretName: nowhere\n"))
		condition(t, namespace, "whc/wrong", "Ready", "False", "nowhere")
	})
	t.Run("a lattice that the NATS of Trellis does not have", func(t *testing.T) {
		apply(t, namespace, config("  lattice: unheard-of\n"))
		condition(t, namespace, "whc/wrong", "Ready", "False", "unheard-of")
	})
}

func TestAnImageThatDoesNotExist(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	missing := "image: ghcr.io/trellis-operator/nowhere:1\n"
	apply(t, a.namespace, strings.Replace(a.text, exampleImage, missing, 1))
	condition(t, a.namespace, "application/"+a.name, "Ready", "False", "trellis-operator/nowhere:1")
	apply(t, a.namespace, a.text)
	condition(t, a.namespace, "application/"+a.name, "Ready", "True", "")
	a.awaitAnswer(t, 30*time.Second, "Hello from Wasm!")
	if restarts := kubectl(t, "get", "pods", "-n", a.namespace, "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"); strings.Trim(restarts, "0 ") != "" {
		t.Errorf("restarts of the hosts: %s", restarts)
	}
}

// An application in a namespace without hosts says so, and runs once there are some.
func TestAnApplicationBeforeItsHosts(t *testing.T) {
	a := newApplication(t, "application.yaml")
	apply(t, a.namespace, a.text)
	condition(t, a.namespace, "application/"+a.name, "Ready", "False", "WasmCloudHostConfig")
	a.deploy(t)
	condition(t, a.namespace, "application/"+a.name, "Ready", "True", "")
}

// refused applies a manifest, which must be refused with those words and without an error of the server's own.
func refused(t *testing.T, namespace, manifest, how string, words []string) {
	t.Helper()
	_, err := try(t, manifest, "apply", how, "-n", namespace, "-f", "-")
	if err == nil {
		t.Errorf("accepted:\n%s", manifest)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	for _, word := range serverErrors {
		if strings.Contains(err.Error(), word) {
			t.Errorf("the error says %q: %v", word, err)
		}
	}
	t.Log(err)
}

// condition waits for a condition whose message has those words.
func condition(t *testing.T, namespace, object, name, want, words string) {
	t.Helper()
	eventually(t, 60*time.Second, fmt.Sprintf("%s %s=%s", object, name, want), func() error {
		out, err := try(t, "", "get", object, "-n", namespace, "-o",
			fmt.Sprintf("jsonpath={.status.conditions[?(@.type==%q)].status} {.status.conditions[?(@.type==%q)].message}", name, name))
		if err != nil {
			return err
		}
		if !strings.HasPrefix(out, want+" ") || !strings.Contains(out, words) {
			return fmt.Errorf("%s is %s; want %s and %q", name, out, want, words)
		}
		return nil
	})
	t.Log(kubectl(t, "get", object, "-n", namespace, "-o", fmt.Sprintf("jsonpath={.status.conditions[?(@.type==%q)].message}", name)))
}
