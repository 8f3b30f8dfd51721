//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubectl runs the real one.
func (l *lab) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := l.tryKubectl(t.Context(), t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tryKubectl is kubectl, which may fail.
func (l *lab) tryKubectl(ctx context.Context, t *testing.T, args ...string) (string, error) {
	t.Helper()
	return run(exec.CommandContext(ctx, filepath.Join(required(t, "KUBEBUILDER_ASSETS"), "kubectl"), append([]string{"--kubeconfig=" + l.kubeconfig}, args...)...))
}

// run returns what a command prints, and what it says when it fails.
func run(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%v: %w\n%s", cmd.Args, err, stderr.String())
	}
	return string(out), nil
}

// push gives a component to the cluster's registry.
func (l *lab) push(t *testing.T, image, file string) {
	t.Helper()
	l.kube(t, "push-component", image, file)
}

// kube runs a command of test/kube on the cluster; files are absolute.
func (l *lab) kube(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(exec.CommandContext(t.Context(), "go", append([]string{"run", "-C", filepath.Join(root(t), "test/kube"), "."}, args...)...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}
