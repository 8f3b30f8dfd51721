//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHello(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)

	t.Run("status says so", func(t *testing.T) { a.awaitReady(t) })
	t.Run("the Service answers pods", func(t *testing.T) {
		askFromPod(t, a.namespace, fmt.Sprintf("http://%s.%s.svc.cluster.local:%d/", a.name, a.namespace, a.port))
	})
	t.Run("a config change changes the answer", func(t *testing.T) {
		apply(t, a.namespace, a.greeting("Bonjour"))
		a.awaitAnswer(t, 30*time.Second, "Bonjour")
		apply(t, a.namespace, a.greeting("Buongiorno"))
		a.awaitAnswer(t, 30*time.Second, "Buongiorno")
		apply(t, a.namespace, a.text)
		a.awaitAnswer(t, 30*time.Second, "Hello from Wasm!")
	})
	t.Run("host group 1 to 3 to 1", func(t *testing.T) {
		for _, replicas := range []int{3, 1} {
			a.scale(t, replicas)
			a.awaitEndpoints(t, 90*time.Second, replicas)
			a.awaitAnswer(t, 10*time.Second, "Hello from Wasm!")
		}
		a.awaitReady(t)
	})
	t.Run("delete", func(t *testing.T) {
		kubectl(t, "delete", "application", a.name, "-n", a.namespace, "--timeout=30s")
		a.awaitServiceGone(t)
		awaitNothingLeft(t, a.name, 30*time.Second)
	})
}

func TestASpreadApplication(t *testing.T) {
	a := newApplication(t, "application-spread.yaml").deploy(t)
	a.awaitReady(t)
	a.scale(t, 3)
	kubectl(t, "wait", "-n", a.namespace, "whc/hosts", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s")
	a.awaitReady(t)
	a.awaitAnswer(t, 30*time.Second, "Hello from Wasm!")
	kubectl(t, "delete", "application", a.name, "-n", a.namespace, "--timeout=30s")
	a.awaitServiceGone(t)
	awaitNothingLeft(t, a.name, 30*time.Second)
}

// Another namespace has a host of the lattice too: hosts keep links and configurations, so somebody is left to delete
// them. (A lattice without any host keeps them, and the record, until a host comes.)
func TestANamespaceWithAnApplicationIsDeleted(t *testing.T) {
	other := newApplication(t, "application.yaml")
	other.hosts(t)
	condition(t, other.namespace, "whc/hosts", "Ready", "True", "")
	a := newApplication(t, "application.yaml").deploy(t)
	kubectl(t, "delete", "namespace", a.namespace, "--timeout=90s")
	out := kubectl(t, "get", "applications,applicationrevisions", "-A", "-o", "jsonpath={.items[*].metadata.namespace}")
	if strings.Contains(out, a.namespace) {
		t.Errorf("the deleted namespace still has objects: %s", out)
	}
	awaitNothingLeft(t, a.name, 30*time.Second)
}

// A second apply, client side or server side, changes no generation.
func TestApplyTwice(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	a.awaitReady(t)
	generations := func() string {
		return kubectl(t, "get", "-n", a.namespace, "application/"+a.name, "whc/hosts", "-o", "jsonpath={.items[*].metadata.generation}")
	}
	before := generations()
	file := writeFile(t, a.text)
	for _, how := range [][]string{
		{}, {"--server-side", "--force-conflicts"}, {"--server-side"}, {},
	} {
		a.hosts(t)
		out := kubectl(t, append([]string{"apply", "-n", a.namespace, "-f", file}, how...)...)
		if after := generations(); after != before {
			t.Errorf("generations after apply %v: %s; want %s (%s)", how, after, before, strings.TrimSpace(out))
		}
		if len(how) == 0 && !strings.Contains(out, "unchanged") {
			t.Errorf("a second apply says %q; want unchanged", out)
		}
	}
}

// awaitReady waits for the conditions that users wait for.
func (a *application) awaitReady(t *testing.T) {
	t.Helper()
	for _, condition := range []string{"application/" + a.name + " Ready", "application/" + a.name + " Exposed", "whc/hosts Ready"} {
		object, name, _ := strings.Cut(condition, " ")
		kubectl(t, "wait", "-n", a.namespace, object, "--for=condition="+name, "--timeout=60s")
	}
}

func (a *application) awaitServiceGone(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "Service and EndpointSlices are gone", func() error {
		out, err := try(t, "", "get", "service,endpointslice", "-n", a.namespace, "-o", "name")
		if err == nil && strings.TrimSpace(out) != "" {
			return fmt.Errorf("left: %s", out)
		}
		return err
	})
}

// askFromPod runs the probe of the helper in a pod, which succeeds when the address answers with success.
func askFromPod(t *testing.T, namespace, url string) {
	t.Helper()
	image := kubectl(t, "get", "deployment", "trellis", "-n", system, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	apply(t, namespace, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: ask}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  containers:
    - name: ask
      image: %s
      imagePullPolicy: IfNotPresent
      command: [/usr/local/bin/trellis-helper, probe, http, %q]
`, image, url))
	eventually(t, 30*time.Second, "a pod asks "+url, func() error {
		phase, err := try(t, "", "get", "pod", "ask", "-n", namespace, "-o", "jsonpath={.status.phase}")
		if phase == "Failed" {
			t.Fatalf("%s: %s", url, kubectl(t, "logs", "ask", "-n", namespace))
		}
		if err == nil && phase != "Succeeded" {
			err = fmt.Errorf("the pod is %s", phase)
		}
		return err
	})
	kubectl(t, "delete", "pod", "ask", "-n", namespace, "--wait=false")
}
