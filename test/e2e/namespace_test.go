//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An API server that cannot answer a namespace's deletion holds up every namespace of the cluster; so this comes first.
func TestAnEmptyNamespaceIsDeleted(t *testing.T) {
	t.Run("with NATS", deleteEmptyNamespace)
	t.Run("without NATS", func(t *testing.T) {
		kubectl(t, "scale", "statefulset", "trellis-nats", "-n", system, "--replicas=0")
		t.Cleanup(func() {
			kubectlInCleanup(t, "scale", "statefulset", "trellis-nats", "-n", system, "--replicas=1")
			kubectlInCleanup(t, "rollout", "status", "statefulset", "trellis-nats", "-n", system, "--timeout=90s")
		})
		kubectl(t, "wait", "pod", "-n", system, "-l", "app.kubernetes.io/component=nats", "--for=delete", "--timeout=60s")
		deleteEmptyNamespace(t)
	})
}

func deleteEmptyNamespace(t *testing.T) {
	t.Helper()
	kubectl(t, "create", "namespace", "empty")
	began := time.Now()
	kubectl(t, "delete", "namespace", "empty", "--timeout=60s")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("deleting an empty namespace took %s; want at most 10 s", took)
	}
}

func TestANamespaceWithAnApplicationIsDeleted(t *testing.T) {
	namespace, _ := hello(t)
	kubectl(t, "delete", "namespace", namespace, "--timeout=90s")
	out := kubectl(t, "get", "applications,applicationrevisions", "-A", "-o", "jsonpath={.items[*].metadata.namespace}")
	if strings.Contains(out, namespace) {
		t.Errorf("the deleted namespace still has objects: %s", out)
	}
}

// kubectlInCleanup is kubectl for the end of a test, when its context has ended already.
func kubectlInCleanup(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(filepath.Join(root(t), "bin", "kubectl"), args...).CombinedOutput(); err != nil {
		t.Errorf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
