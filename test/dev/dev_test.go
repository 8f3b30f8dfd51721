// Package dev runs the real programs without a cluster: `trellis dev` with its host, as a user would.
package dev

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

const (
	startTimeout = 2 * time.Minute
	pollInterval = 50 * time.Millisecond
)

// binaries are built once for all tests of the package.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "trellis-dev-test-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+"/", "../../cmd/trellis", "../../cmd/trellis-host").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := binaries(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// trellis is a running `trellis dev` with free ports.
type trellis struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan error
	lines  chan string

	kubeconfig, nats string
}

// start runs `trellis dev` and returns when it says that it runs. The application of the example listens on port.
func start(t *testing.T, state string, args ...string) *trellis {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	p := &trellis{ended: make(chan error, 1), lines: make(chan string, 1000)}
	args = append([]string{"dev", "--state-dir", state, "--nats-port", "0", "--api-port", "0", "--registry-port", "0"}, args...)
	p.cmd = exec.Command(filepath.Join(dir, "trellis"), args...)
	read, write := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = io.MultiWriter(&p.output, write), io.MultiWriter(&p.output, write)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for scanner := bufio.NewScanner(read); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	go func() { p.ended <- p.cmd.Wait(); _ = write.Close() }()
	t.Cleanup(func() { p.stop(t) })
	p.kubeconfig = p.await(t, `KUBECONFIG=(\S+)`)
	p.nats = p.await(t, `NATS\s+(nats://\S+)`)
	return p
}

// await reads lines until one matches, and returns its first group.
func (p *trellis) await(t *testing.T, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	deadline := time.After(startTimeout)
	for {
		select {
		case line := <-p.lines:
			if m := expression.FindStringSubmatch(line); m != nil {
				return m[len(m)-1]
			}
		case err := <-p.ended:
			p.ended <- err
			t.Fatalf("trellis dev ended (%v) before it said %q:\n%s", err, pattern, p.output.String())
		case <-deadline:
			t.Fatalf("trellis dev did not say %q within %s", pattern, startTimeout)
		}
	}
}

// stop ends it as Ctrl-C does and waits.
func (p *trellis) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended already
	select {
	case err := <-p.ended:
		p.ended <- err
		if err != nil {
			t.Errorf("trellis dev ended with %v:\n%s", err, p.output.String())
		}
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		t.Errorf("trellis dev did not end within 30 s of Ctrl-C:\n%s", p.output.String())
	}
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(pollInterval):
		}
	}
}

func answers(t *testing.T, url, want string) error {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(body)); response.StatusCode != http.StatusOK || got != want {
		return fmt.Errorf("%s answers %s %q; want 200 %q", url, response.Status, got, want)
	}
	return nil
}

// helloOn is the example with another port, so that tests do not meet whatever listens on 8080.
func helloOn(t *testing.T, port, greeting string) string {
	t.Helper()
	example, err := os.ReadFile("../../examples/hello/application.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(example), "0.0.0.0:8080", "127.0.0.1:"+port)
	if greeting != "" {
		const image = "        image: ghcr.io/trellis-operator/hello:0.1.0\n"
		text = strings.Replace(text, image, image+"        config:\n          - name: greeting\n            properties:\n              greeting: "+greeting+"\n", 1)
	}
	path := filepath.Join(t.TempDir(), "application.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelloWorldAnswersAndSurvivesARestart(t *testing.T) {
	state := t.TempDir()
	const url = "http://127.0.0.1:18080/"
	first := start(t, state, "--apply", helloOn(t, "18080", ""))
	first.await(t, `answers \(after`)
	if err := answers(t, url, "Hello from Wasm!"); err != nil {
		t.Fatal(err)
	}
	first.stop(t)

	// Nothing is applied again: what was applied is still there.
	second := start(t, state)
	eventually(t, "the application after a restart", func() error { return answers(t, url, "Hello from Wasm!") })
	second.stop(t)

	third := start(t, state, "--apply", helloOn(t, "18080", "Bonjour"))
	eventually(t, "the answer after a change of configuration", func() error { return answers(t, url, "Bonjour") })
	third.stop(t)
}

func TestASecondOneIsRefused(t *testing.T) {
	state := t.TempDir()
	start(t, state, "--no-host")
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(dir, "trellis"), "dev", "--state-dir", state, "--no-host").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another `trellis dev`") {
		t.Errorf("a second trellis dev on the same folder = %v: %s; want an error that says so", err, out)
	}
}

func TestWashAndKubectlShowTheSame(t *testing.T) {
	p := start(t, t.TempDir(), "--apply", helloOn(t, "18081", ""))
	p.await(t, `answers \(after`)
	conn, err := nats.Connect(p.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	list, err := conn.Request("wadm.api.default.model.list", nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if list.Header.Get("Trellis-Version") == "" || !strings.Contains(string(list.Data), `"name":"hello"`) {
		t.Errorf("wash's list = %s %s; want the application and the version header", list.Header, list.Data)
	}
	undeploy, err := conn.Request("wadm.api.default.model.undeploy.hello", nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(undeploy.Data), `"acknowledged"`) {
		t.Fatalf("undeploy = %s", undeploy.Data)
	}
	eventually(t, "the port is closed after wash's undeploy", func() error {
		if err := answers(t, "http://127.0.0.1:18081/", "Hello from Wasm!"); err == nil {
			return fmt.Errorf("it still answers")
		}
		return nil
	})
	deploy, err := conn.Request("wadm.api.default.model.deploy.hello", nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(deploy.Data), `"acknowledged"`) {
		t.Fatalf("deploy = %s", deploy.Data)
	}
	eventually(t, "it answers again", func() error { return answers(t, "http://127.0.0.1:18081/", "Hello from Wasm!") })
	eventually(t, "the metrics have counted that", func() error {
		counted, err := get(p.kubeconfig, "/metrics")
		for _, series := range []string{
			`trellis_orchestrator_applications{lattice="default",phase="Deployed"} 1`, `trellis_orchestrator_hosts{lattice="default"} 1`,
			`trellis_orchestrator_command_duration_seconds_count{lattice="default",result="ok",verb="StopProvider"} 1`, "apiserver_request_total{",
		} {
			if err != nil || !strings.Contains(counted, series) {
				return fmt.Errorf("%s is not among %d bytes (%v)", series, len(counted), err)
			}
		}
		return nil
	})
}

// get reads a path of the API.
func get(kubeconfig, path string) (string, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return "", err
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return "", err
	}
	text, err := client.RESTClient().Get().AbsPath(path).DoRaw(context.Background())
	return string(text), err
}

func TestWrongManifestsAreExplained(t *testing.T) {
	p := start(t, t.TempDir(), "--no-host")
	for name, test := range map[string]struct{ from, to, want string }{
		"unknown type":       {"type: capability", "type: gadget", "spec.components[1].type"},
		"missing image":      {"        image: ghcr.io/wasmcloud/http-server:0.27.0\n", "        id: x\n", "image"},
		"two of one name":    {"- name: httpserver", "- name: http-component", "http-component"},
		"link to nothing":    {"target: http-component", "target: nobody", "nobody"},
		"reserved version":   {"description: 'HTTP", "version: latest\n    description: 'HTTP", "latest"},
		"name of two tokens": {"name: hello\n", "name: hel.lo\n", "metadata.name"},
	} {
		t.Run(name, func(t *testing.T) {
			example, err := os.ReadFile("../../examples/hello/application.yaml")
			if err != nil {
				t.Fatal(err)
			}
			wrong := strings.Replace(string(example), test.from, test.to, 1)
			if wrong == string(example) {
				t.Fatalf("%q is not in the example", test.from)
			}
			err = apply(t, p.kubeconfig, wrong)
			if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("apply = %v; want a refusal that names %q", err, test.want)
			}
		})
	}
}

// apply applies a manifest as `kubectl apply --server-side` does.
func apply(t *testing.T, kubeconfig, manifest string) error {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		t.Fatal(err)
	}
	_, err = client.Resource(schema.GroupVersionResource{Group: "core.oam.dev", Version: "v1beta1", Resource: "applications"}).
		Namespace("default").Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "test"})
	return err
}
