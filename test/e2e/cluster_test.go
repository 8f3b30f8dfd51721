//go:build e2e

// Package e2e holds the scenarios on a real cluster: real kubectl, the real chart, real components. They run against the
// cluster that KUBECONFIG names, with Trellis installed and the example's component in its registry; `make test` brings
// all that up. Every test has a namespace, an application name and a port of its own, because all host groups share one
// lattice; and none minds what else runs in the cluster.
package e2e

import (
	"bytes"
	"context"
	"fmt"
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

	namespaceManifest = "apiVersion: v1\nkind: Namespace\nmetadata:\n  generateName: e2e-\n"
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBECONFIG") == "" {
		fmt.Fprintln(os.Stderr, "the end-to-end tests need KUBECONFIG to name a cluster with Trellis; `make test` provides one")
		os.Exit(1)
	}
	code := m.Run()
	if err := within(goneWithin, nothingRemains); err != nil {
		fmt.Fprintln(os.Stderr, "what the tests made is not gone:", err)
		code = 1
	}
	os.Exit(code)
}

// goneWithin is how long namespaces may take to go: the controller of Kubernetes looks again at one with pods only after
// half of their grace period.
const goneWithin = 3 * time.Minute

// nothingRemains says which namespaces of the tests are there still.
func nothingRemains() error {
	out, err := run(context.Background(), filepath.Join("..", "..", "bin", "kubectl"), "", "get", "namespaces", "-o", "name")
	if err != nil {
		return err
	}
	var left []string
	for _, name := range strings.Fields(out) {
		if strings.HasPrefix(name, "namespace/e2e-") {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%v", left)
	}
	return nil
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
	return run(t.Context(), filepath.Join(root(t), "bin", "kubectl"), stdin, args...)
}

// run runs a program for two minutes at most.
func run(ctx context.Context, program, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
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

// kubectlInCleanup is kubectl for the end of a test, when its context has ended already.
func kubectlInCleanup(t *testing.T, args ...string) {
	t.Helper()
	if _, err := run(context.Background(), filepath.Join(root(t), "bin", "kubectl"), "", args...); err != nil {
		t.Error(err)
	}
}

// apply applies a manifest given as text.
func apply(t *testing.T, namespace, manifest string) {
	t.Helper()
	if _, err := try(t, manifest, "apply", "-n", namespace, "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// within calls f until it returns nil or the time is over; the error is the last one.
func within(limit time.Duration, f func() error) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-deadline.C:
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-tick.C:
		}
	}
}

// eventually is within, and ends the test where it fails.
func eventually(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	began := time.Now()
	if err := within(limit, f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Logf("%s: after %s", what, time.Since(began).Round(10*time.Millisecond))
}

// makeNamespace makes a namespace with a generated name and deletes it at the end of the test, which does not wait for
// that: the next one has a namespace of its own. That all of them go is seen at the very end.
func makeNamespace(t *testing.T) string {
	t.Helper()
	name := kubectl(t, "create", "-o", "jsonpath={.metadata.name}", "-f", writeFile(t, namespaceManifest))
	t.Cleanup(func() {
		kubectlInCleanup(t, "delete", "namespace", name, "--ignore-not-found", "--wait=false")
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
