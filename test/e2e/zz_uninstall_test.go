//go:build e2e

package e2e

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// helm runs the real one.
func helm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t.Context(), "go", "", append([]string{"run", "-C", filepath.Join(root(t), "test/kube"), ".", "helm"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The release is removed and installed again, last of all: what ran goes on running, nothing is left hanging that waits for
// an operator, and the applications are there again.
func TestTheReleaseIsRemovedAndInstalledAgain(t *testing.T) {
	a := newApplication(t, "application.yaml").deploy(t)
	url, err := a.url(t)
	if err != nil {
		t.Fatal(err)
	}
	values := writeFile(t, helm(t, "get", "values", "trellis", "-n", system, "-o", "yaml"))
	install := func() {
		helm(t, "upgrade", "--install", "trellis", filepath.Join(root(t), "charts/trellis"), "-n", system, "--values", values, "--wait", "--timeout", "110s")
	}
	helm(t, "uninstall", "trellis", "-n", system, "--wait", "--timeout", "110s")
	t.Cleanup(func() {
		if t.Failed() {
			install()
		}
	})
	t.Run("what ran runs", func(t *testing.T) {
		if err := answers(t, url, "Hello from Wasm!"); err != nil {
			t.Error(err)
		}
	})
	t.Run("nothing waits for an operator", func(t *testing.T) {
		if out, err := try(t, "", "get", "apiservice", "v1beta1.core.oam.dev", "--ignore-not-found", "-o", "name"); err != nil || out != "" {
			t.Errorf("the APIService is there: %s, %v", out, err)
		}
		if out := kubectl(t, "get", "services,whc", "-A", "-o", "jsonpath={.items[*].metadata.finalizers}"); strings.TrimSpace(out) != "" {
			t.Errorf("finalizers: %s", out)
		}
		kubectl(t, "delete", "namespace", makeNamespace(t), "--timeout=30s")
	})
	install()
	t.Run("all is there again", func(t *testing.T) {
		condition(t, a.namespace, "application/"+a.name, "Ready", "True", "")
		condition(t, a.namespace, "application/"+a.name, "Exposed", "True", "")
		a.awaitAnswer(t, 30*time.Second, "Hello from Wasm!")
		eventually(t, 30*time.Second, "the Service is held again", func() error {
			held, err := a.service(t, "{.metadata.finalizers}")
			if err == nil && held == "" {
				err = errors.New("no finalizer")
			}
			return err
		})
	})
}
