//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hello applies the example into a new namespace and returns the namespace once the application answers.
func hello(t *testing.T) (namespace, url string) {
	t.Helper()
	namespace = makeNamespace(t)
	kubectl(t, "apply", "-n", namespace, "-f", filepath.Join(root(t), "examples/hello/hostconfig.yaml"))
	kubectl(t, "apply", "-n", namespace, "-f", filepath.Join(root(t), "examples/hello/application.yaml"))
	eventually(t, 90*time.Second, "hello world answers through its Service", func() (err error) {
		if url, err = serviceURL(t, namespace, "hello"); err != nil {
			return err
		}
		return answers(t, url, "Hello from Wasm!")
	})
	return namespace, url
}

func TestHello(t *testing.T) {
	namespace, url := hello(t)

	t.Run("the application says so", func(t *testing.T) {
		kubectl(t, "wait", "-n", namespace, "application/hello", "--for=condition=Ready", "--timeout=30s")
		kubectl(t, "wait", "-n", namespace, "whc/hosts", "--for=condition=Ready", "--timeout=30s")
	})
	t.Run("a second apply changes no generation", func(t *testing.T) { applyTwice(t, namespace) })
	t.Run("a config change changes the answer", func(t *testing.T) {
		changeGreeting(t, namespace, "Bonjour")
		eventually(t, 30*time.Second, "the new greeting", func() error { return answers(t, url, "Bonjour") })
	})
	t.Run("host group 1 to 3 to 1", func(t *testing.T) { scaleGroup(t, namespace, url) })
	t.Run("delete", func(t *testing.T) {
		kubectl(t, "delete", "application", "hello", "-n", namespace, "--timeout=30s")
		eventually(t, 30*time.Second, "the Service is gone", func() error {
			out, err := try(t, "", "get", "service,endpointslice", "-n", namespace, "-o", "name", "-l", "app.kubernetes.io/managed-by")
			if err == nil && strings.TrimSpace(out) != "" {
				return fmt.Errorf("left: %s", out)
			}
			return err
		})
	})
}

func applyTwice(t *testing.T, namespace string) {
	generation := func() string {
		return kubectl(t, "get", "-n", namespace, "application/hello", "whc/hosts", "-o", "jsonpath={.items[*].metadata.generation}")
	}
	before := generation()
	for _, file := range []string{"hostconfig.yaml", "application.yaml"} {
		path := filepath.Join(root(t), "examples/hello", file)
		kubectl(t, "apply", "-n", namespace, "-f", path)
		kubectl(t, "apply", "--server-side", "--force-conflicts", "-n", namespace, "-f", path)
	}
	if after := generation(); after != before {
		t.Errorf("generations after a second apply: %s; want %s", after, before)
	}
}

// changeGreeting gives the component a configuration, as a user would edit the manifest.
func changeGreeting(t *testing.T, namespace, greeting string) {
	t.Helper()
	patch := fmt.Sprintf(`[{"op":"add","path":"/spec/components/0/properties/config","value":[{"name":"greeting","properties":{"greeting":%q}}]}]`, greeting)
	kubectl(t, "patch", "application", "hello", "-n", namespace, "--type=json", "-p", patch)
}

func scaleGroup(t *testing.T, namespace, url string) {
	for _, replicas := range []int{3, 1} {
		kubectl(t, "patch", "whc", "hosts", "-n", namespace, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"hostReplicas":%d}}`, replicas))
		eventually(t, 90*time.Second, strconv.Itoa(replicas)+" endpoints", func() error {
			out, err := try(t, "", "get", "endpointslice", "-n", namespace, "-l", "kubernetes.io/service-name=hello",
				"-o", "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}")
			if err != nil {
				return err
			}
			if got := len(strings.Fields(out)); got != replicas {
				return fmt.Errorf("%d ready endpoints: %s", got, out)
			}
			return nil
		})
		if status, body, err := get(t.Context(), url); err != nil || status != 200 {
			t.Errorf("after %d replicas: %d %q %v", replicas, status, body, err)
		}
	}
}
