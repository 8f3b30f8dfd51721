//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// lastPort is the newest port that a test serves on: hosts of all tests are in one lattice, and serve all applications.
var lastPort atomic.Int32

// application is an example in a namespace of its own, under a name and on a port of its own.
type application struct {
	namespace, name string
	port            int
	text            string // the manifest
}

// newApplication makes the namespace, and rewrites the example of that file for it.
func newApplication(t *testing.T, file string) *application {
	t.Helper()
	namespace := makeNamespace(t)
	content, err := os.ReadFile(filepath.Join(root(t), "examples/hello", file))
	if err != nil {
		t.Fatal(err)
	}
	a := &application{namespace: namespace, name: namespace, port: 18080 + int(lastPort.Add(1))}
	a.text = strings.NewReplacer(
		"name: hello-spread\n", "name: "+a.name+"\n", "name: hello\n", "name: "+a.name+"\n",
		"0.0.0.0:8080", fmt.Sprint("0.0.0.0:", a.port), "0.0.0.0:8081", fmt.Sprint("0.0.0.0:", a.port),
	).Replace(string(content))
	return a
}

const exampleImage = "image: ghcr.io/trellis-operator/hello:0.1.0\n"

// greeting is the manifest with a configuration for the component, as a user would edit it.
func (a *application) greeting(words string) string {
	return strings.Replace(a.text, exampleImage, exampleImage+
		"        config:\n          - name: greeting\n            properties:\n              greeting: "+words+"\n", 1)
}

// hosts applies the example's host group.
func (a *application) hosts(t *testing.T) {
	t.Helper()
	kubectl(t, "apply", "-n", a.namespace, "-f", filepath.Join(root(t), "examples/hello/hostconfig.yaml"))
}

// binding is a group without a host: it only binds its namespace to the lattice, in which the hosts of others serve.
func (a *application) binding() string {
	return "apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: WasmCloudHostConfig\nmetadata:\n  name: " + a.name +
		"\nspec:\n  lattice: default\n  version: 1.9.2\n  hostReplicas: 0\n"
}

// deploy applies host group and application, and waits for the answer through the Service.
func (a *application) deploy(t *testing.T) *application {
	t.Helper()
	a.hosts(t)
	apply(t, a.namespace, a.text)
	a.awaitAnswer(t, 90*time.Second, "Hello from Wasm!")
	return a
}

func (a *application) awaitAnswer(t *testing.T, limit time.Duration, want string) {
	t.Helper()
	eventually(t, limit, fmt.Sprintf("the answer %q", want), func() error {
		url, err := a.url(t)
		if err != nil {
			return err
		}
		return answers(t, url, want)
	})
}

// url is the address of the application's Service from outside of pods.
func (a *application) url(t *testing.T) (string, error) {
	t.Helper()
	address, err := try(t, "", "get", "service", a.name, "-n", a.namespace, "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[?(@.name=='http')].port}")
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(address, ":") || strings.HasSuffix(address, ":") {
		return "", errors.New("the Service has no address yet")
	}
	return "http://" + address + "/", nil
}

// scale sets the size of the host group.
func (a *application) scale(t *testing.T, replicas int) {
	t.Helper()
	kubectl(t, "patch", "whc", "hosts", "-n", a.namespace, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"hostReplicas":%d}}`, replicas))
}

// awaitEndpoints waits until that many hosts of the application's own group are ready endpoints.
func (a *application) awaitEndpoints(t *testing.T, limit time.Duration, want int) {
	t.Helper()
	eventually(t, limit, fmt.Sprintf("%d endpoints", want), func() error {
		ready, err := a.endpoints(t)
		if err != nil {
			return err
		}
		if len(ready) != want {
			return fmt.Errorf("%d ready endpoints: %v", len(ready), ready)
		}
		return nil
	})
}

// endpoints are the pods of the own namespace that the Service leads to.
func (a *application) endpoints(t *testing.T) (pods []string, err error) {
	t.Helper()
	out, err := try(t, "", "get", "endpointslice", "-n", a.namespace, "-l", "kubernetes.io/service-name="+a.name,
		"-o", `jsonpath={range .items[*].endpoints[?(@.conditions.ready==true)]}{.targetRef.namespace}/{.targetRef.name}{"\n"}{end}`)
	for _, pod := range strings.Fields(out) {
		if name, own := strings.CutPrefix(pod, a.namespace+"/"); own {
			pods = append(pods, name)
		}
	}
	return pods, err
}
