//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// An API server that cannot answer a namespace's deletion holds up every namespace of the cluster; so this comes first,
// by the name of its file: right after the installation.
func TestAnEmptyNamespaceIsDeleted(t *testing.T) {
	t.Run("with NATS", deleteEmptyNamespace)
	t.Run("without NATS", func(t *testing.T) {
		stopNATS(t)
		deleteEmptyNamespace(t)
	})
}

// stopNATS takes NATS away until the end of the test.
func stopNATS(t *testing.T) {
	t.Helper()
	kubectl(t, "scale", "statefulset", "trellis-nats", "-n", system, "--replicas=0")
	t.Cleanup(func() {
		kubectlInCleanup(t, "scale", "statefulset", "trellis-nats", "-n", system, "--replicas=1")
		kubectlInCleanup(t, "rollout", "status", "statefulset", "trellis-nats", "-n", system, "--timeout=90s")
		apiAnswers(t)
	})
	kubectl(t, "wait", "pod", "-n", system, "-l", "app.kubernetes.io/component=nats", "--for=delete", "--timeout=60s")
}

func deleteEmptyNamespace(t *testing.T) {
	t.Helper()
	name := strings.TrimSpace(kubectl(t, "create", "-o", "jsonpath={.metadata.name}", "-f", writeFile(t, namespaceManifest)))
	began := time.Now()
	kubectl(t, "delete", "namespace", name, "--timeout=60s")
	took := time.Since(began)
	if took > 10*time.Second {
		t.Errorf("deleting an empty namespace took %s; want at most 10 s", took)
	}
	t.Logf("gone after %s", took.Round(10*time.Millisecond))
}
