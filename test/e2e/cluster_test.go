//go:build e2e

// Package e2e holds the scenarios on a real cluster: real kubectl, the real chart, real components. They run against the
// cluster that KUBECONFIG names, with Trellis installed and the example's component in its registry; `make test` brings
// all that up.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// system is the namespace that the chart is installed in.
	system   = "trellis-system"
	interval = 200 * time.Millisecond
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBECONFIG") == "" {
		fmt.Fprintln(os.Stderr, "the end-to-end tests need KUBECONFIG to name a cluster with Trellis; `make test` provides one")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// root is the repository.
func root(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// try runs kubectl and returns what it printed on stdout; the error carries stderr.
func try(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root(t), "bin", "kubectl"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// kubectl runs kubectl, which must succeed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t, "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply applies a manifest given as text.
func apply(t *testing.T, namespace, manifest string) {
	t.Helper()
	if _, err := try(t, manifest, "apply", "-n", namespace, "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// eventually calls f until it returns nil; the last error is the failure when the deadline comes first.
func eventually(t *testing.T, within time.Duration, what string, f func() error) {
	t.Helper()
	began := time.Now()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			t.Logf("%s: after %s", what, time.Since(began).Round(10*time.Millisecond))
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within %s: %v", what, within, err)
		case <-tick.C:
		}
	}
}

// makeNamespace makes a namespace with a generated name and deletes it at the end of the test.
func makeNamespace(t *testing.T) string {
	t.Helper()
	out := kubectl(t, "create", "-o", "name", "-f", writeFile(t, "apiVersion: v1\nkind: Namespace\nmetadata:\n  generateName: e2e-\n"))
	name := strings.TrimSpace(strings.TrimPrefix(out, "namespace/"))
	t.Cleanup(func() {
		kubectlInCleanup(t, "delete", "namespace", name, "--ignore-not-found", "--timeout=90s")
	})
	return name
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// get asks an address over HTTP and returns status and body.
func get(ctx context.Context, url string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// answers says whether an address answers 200 with a body.
func answers(t *testing.T, url, want string) error {
	t.Helper()
	status, body, err := get(t.Context(), url)
	if err != nil {
		return err
	}
	if status != http.StatusOK || strings.TrimSpace(body) != want {
		return fmt.Errorf("GET %s = %d %q; want 200 %q", url, status, body, want)
	}
	return nil
}

// serviceURL is the address of an application's Service from outside pods.
func serviceURL(t *testing.T, namespace, name string) (string, error) {
	t.Helper()
	ip, err := try(t, "", "get", "service", name, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[?(@.name=='http')].port}")
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(ip, ":") || strings.HasSuffix(ip, ":") {
		return "", errors.New("the Service has no address yet: " + ip)
	}
	return "http://" + ip + "/", nil
}
