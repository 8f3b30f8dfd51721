//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/test/e2e/strangers"
)

func TestHello(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)

	t.Run("status says so", func(t *testing.T) { a.awaitReady(t) })
	t.Run("the Service answers pods", func(t *testing.T) { a.answersPods(t) })
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

// Hosts keep links and configurations: in one case a host of another namespace is left to delete them, in the other the
// last host of the lattice goes with the namespace.
func TestANamespaceWithAnApplicationIsDeleted(t *testing.T) {
	for _, hostElsewhere := range []bool{true, false} {
		t.Run(fmt.Sprint("host elsewhere: ", hostElsewhere), func(t *testing.T) {
			if hostElsewhere {
				other := newApplication(t, "application.yaml")
				other.hosts(t)
				condition(t, other.namespace, "whc/hosts", "Ready", "True", "")
			}
			a := newApplication(t, "application.yaml").deploy(t)
			kubectl(t, "delete", "namespace", a.namespace, "--timeout=90s")
			out := kubectl(t, "get", "applications,applicationrevisions", "-A", "-o", "jsonpath={.items[*].metadata.namespace}")
			if strings.Contains(out, a.namespace) {
				t.Errorf("the deleted namespace still has objects: %s", out)
			}
			awaitNothingLeft(t, a.name, 30*time.Second)
		})
	}
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

// answersPods demands the answer in a pod, by the Service's name and its address.
func (a *application) answersPods(t *testing.T) {
	t.Helper()
	urls := []string{
		fmt.Sprintf("http://%s.%s.svc.cluster.local:%d/", a.name, a.namespace, a.port),
		fmt.Sprintf("http://%s:%d/", serviceIP(t, a.namespace, a.name), a.port),
	}
	answers := visit(t, a.namespace, strangers.Visit{Get: urls}).Answers
	for _, url := range urls {
		if got := answers[url]; got.Status != http.StatusOK || strings.TrimSpace(got.Body) != "Hello from Wasm!" {
			t.Errorf("GET %s in a pod = %d %q %s; want 200 and Hello from Wasm!", url, got.Status, got.Body, got.Error)
		}
	}
}
