package cli

import (
	"os"
	"path/filepath"
	"testing"
)

const plainKubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`

// TestClusterConfig_NoLimit: client-go limits who says nothing to 5 requests a second, which 100 slices of a node that is
// lost wait for.
func TestClusterConfig_NoLimit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(plainKubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := clusterConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if config.QPS >= 0 || config.RateLimiter != nil {
		t.Errorf("requests are limited to %v a second, want no limit of the client", config.QPS)
	}
}
