//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// policies adds to the manifest how the application is reached.
func (a *application) policies(properties string) string {
	return a.text + "  policies:\n    - name: reach\n      type: policy.expose.wasmcloud.dev/v1alpha1\n      properties:\n        " +
		strings.ReplaceAll(strings.TrimSpace(properties), "\n", "\n        ") + "\n"
}

// service reads the Service of the application.
func (a *application) service(t *testing.T, path string) (string, error) {
	t.Helper()
	out, err := try(t, "", "get", "service", a.name, "-n", a.namespace, "-o", "jsonpath="+path)
	return strings.TrimSpace(out), err
}

// awaitService waits until the Service shows that.
func (a *application) awaitService(t *testing.T, path, want string) {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("the Service shows %q", want), func() error {
		got, err := a.service(t, path)
		if err == nil && got != want {
			err = fmt.Errorf("%s is %q", path, got)
		}
		return err
	})
}

// A Service goes through a life: what its user set on it outlives a deletion by hand, a policy shapes it, its port gets
// another number, the annotation takes it away and brings it back.
func TestTheLifeOfAService(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	t.Run("deleted by hand", func(t *testing.T) {
		kubectl(t, "annotate", "service", a.name, "-n", a.namespace, "example.com/note=mine")
		kubectl(t, "patch", "service", a.name, "-n", a.namespace, "--type=merge", "-p", `{"spec":{"type":"NodePort"}}`)
		const nodePort, note, uid = "{.spec.ports[0].nodePort}", `{.metadata.annotations.example\.com/note}`, "{.metadata.uid}"
		port, err := a.service(t, nodePort)
		if err != nil || port == "" {
			t.Fatalf("node port %q, %v", port, err)
		}
		before, err := a.service(t, uid)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, "what the user set is remembered", func() error {
			out, err := try(t, "", "get", "application", a.name, "-n", a.namespace, "-o", "jsonpath={.status.service}")
			if err == nil && (!strings.Contains(out, port) || !strings.Contains(out, "mine")) {
				err = fmt.Errorf("status.service is %s", out)
			}
			return err
		})
		kubectl(t, "delete", "service", a.name, "-n", a.namespace, "--timeout=30s")
		a.awaitService(t, note, "mine")
		a.awaitService(t, nodePort, port)
		if after, err := a.service(t, uid); err != nil || after == before {
			t.Errorf("the Service was not deleted: uid %q, %v", after, err)
		}
		a.awaitAnswer(t, 15*time.Second, "Hello from Wasm!")
	})
	t.Run("by policy", func(t *testing.T) {
		apply(t, a.namespace, a.policies(fmt.Sprintf("component: httpserver\nports: '[{name: web, port: 80, targetPort: %d, appProtocol: http}]'\nsessionAffinity: ClientIP", a.port)))
		a.awaitService(t, "{.spec.ports[*].name} {.spec.ports[*].port} {.spec.ports[*].appProtocol} {.spec.sessionAffinity}", "web 80 http ClientIP")
		url := "http://" + serviceIP(t, a.namespace, a.name) + "/"
		eventually(t, 15*time.Second, "the answer on port 80", func() error { return answers(t, url, "Hello from Wasm!") })
		apply(t, a.namespace, a.policies("component: nobody\nports: '[{port: 80}]'"))
		condition(t, a.namespace, "application/"+a.name, "Exposed", "False", "nobody")
		if err := answers(t, url, "Hello from Wasm!"); err != nil {
			t.Errorf("a policy that can't be read takes away what was there: %v", err)
		}
		apply(t, a.namespace, a.text)
		a.awaitAnswer(t, 15*time.Second, "Hello from Wasm!")
	})
	t.Run("another port", func(t *testing.T) {
		moved := *a
		moved.port = a.port + 1000
		moved.text = strings.ReplaceAll(a.text, fmt.Sprint("0.0.0.0:", a.port), fmt.Sprint("0.0.0.0:", moved.port))
		apply(t, a.namespace, moved.text)
		a.awaitService(t, "{.spec.ports[*].name} {.spec.ports[*].port}", fmt.Sprint("http ", moved.port))
		moved.awaitAnswer(t, 15*time.Second, "Hello from Wasm!")
		apply(t, a.namespace, a.text)
		a.awaitAnswer(t, 15*time.Second, "Hello from Wasm!")
	})
	t.Run("none on request", func(t *testing.T) {
		kubectl(t, "annotate", "application", a.name, "-n", a.namespace, "k8s.wasmcloud.dev/expose=false")
		a.awaitServiceGone(t)
		kubectl(t, "annotate", "application", a.name, "-n", a.namespace, "k8s.wasmcloud.dev/expose-")
		a.awaitAnswer(t, 15*time.Second, "Hello from Wasm!")
	})
}

// Nobody gets a Service that belongs to somebody else by calling an application like it.
func TestServicesOfOthersAreNotTouched(t *testing.T) {
	a := newApplication(t, "application.yaml")
	kubectl(t, "create", "service", "clusterip", a.name, "-n", a.namespace, "--tcp=5432:5432")
	whole := func() string {
		return kubectl(t, "get", "service", a.name, "-n", a.namespace, "-o", "jsonpath={.metadata.uid} {.metadata.resourceVersion} {.spec}")
	}
	before := whole()
	a.hosts(t)
	apply(t, a.namespace, a.text)
	condition(t, a.namespace, "application/"+a.name, "Exposed", "False", a.name)
	kubectl(t, "delete", "application", a.name, "-n", a.namespace, "--timeout=30s")
	if after := whole(); after != before {
		t.Errorf("the Service of somebody else was %s and is %s", before, after)
	}

	api := "jsonpath={.metadata.uid} {.metadata.resourceVersion} {.spec}"
	before = kubectl(t, "get", "service", "kubernetes", "-n", "default", "-o", api)
	t.Cleanup(func() {
		kubectlInCleanup(t, "delete", "application", "kubernetes", "-n", "default", "--ignore-not-found")
		kubectlInCleanup(t, "delete", "whc", a.name, "-n", "default", "--ignore-not-found")
	})
	apply(t, "default", a.binding())
	apply(t, "default", strings.Replace(a.text, "name: "+a.name+"\n", "name: kubernetes\n", 1))
	condition(t, "default", "application/kubernetes", "Exposed", "False", "kubernetes")
	kubectl(t, "delete", "application", "kubernetes", "-n", "default", "--timeout=30s")
	if after := kubectl(t, "get", "service", "kubernetes", "-n", "default", "-o", api); after != before {
		t.Errorf("the Service of the cluster's API was %s and is %s", before, after)
	}
}

// Two applications want one port of the same hosts: both say so and name the other; when one goes, the other serves.
func TestTwoApplicationsOnOnePort(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	second := strings.Replace(a.text, "name: "+a.name+"\n", "name: "+a.name+"-b\n", 1)
	apply(t, a.namespace, second)
	for object, other := range map[string]string{a.name: a.name + "-b", a.name + "-b": a.name} {
		eventually(t, 30*time.Second, object+" names "+other, func() error {
			out, err := try(t, "", "get", "application", object, "-n", a.namespace, "-o", `jsonpath={.status.conditions[?(@.type=="Exposed")]}`)
			if err == nil && (!strings.Contains(out, "PortConflict") || !strings.Contains(out, other)) {
				err = fmt.Errorf("it says %s", out)
			}
			return err
		})
	}
	kubectl(t, "delete", "application", a.name+"-b", "-n", a.namespace, "--timeout=30s")
	condition(t, a.namespace, "application/"+a.name, "Exposed", "True", "")
	a.awaitAnswer(t, 15*time.Second, "Hello from Wasm!")
}

// A Service goes within ten seconds of its namespace, which does not wait for anything else then; while the operator is away
// it waits, and goes when it is back.
func TestANamespaceWithAServiceGoes(t *testing.T) {
	newApplication(t, "application.yaml").hosts(t)
	// A group without a host binds its namespace to the lattice; those of another namespace serve.
	served := func() *application {
		a := newApplication(t, "application.yaml")
		a.hosts(t)
		a.scale(t, 0)
		apply(t, a.namespace, a.text)
		condition(t, a.namespace, "application/"+a.name, "Exposed", "True", "")
		a.awaitAnswer(t, 60*time.Second, "Hello from Wasm!")
		kubectl(t, "wait", "--for=delete", "pods", "--all", "-n", a.namespace, "--timeout=90s")
		return a
	}
	t.Run("within ten seconds", func(t *testing.T) {
		a := served()
		kubectl(t, "delete", "namespace", a.namespace, "--wait=false")
		kubectl(t, "wait", "--for=delete", "service/"+a.name, "-n", a.namespace, "--timeout=10s")
		kubectl(t, "wait", "--for=delete", "namespace/"+a.namespace, "--timeout=20s")
	})
	t.Run("the operator was away", func(t *testing.T) {
		a := served()
		away(t, func() { kubectl(t, "delete", "namespace", a.namespace, "--wait=false") })
		kubectl(t, "wait", "--for=delete", "namespace/"+a.namespace, "--timeout=60s")
	})
}
