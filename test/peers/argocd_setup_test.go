//go:build peers && linux

package peers

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	argoNamespace = "argocd"
	argoRedis     = "127.0.0.1:16379"
	argoRepo      = "127.0.0.1:18081"
)

// argoObjects are what an installation of Argo CD brings beside its programs, as far as these two read it.
const argoObjects = `
apiVersion: v1
kind: ConfigMap
metadata: {namespace: argocd, name: argocd-cm, labels: {app.kubernetes.io/part-of: argocd, app.kubernetes.io/name: argocd-cm}}
data:
  resource.customizations.ignoreResourceUpdates.all: |
    jsonPointers:
      - /status
---
apiVersion: v1
kind: Secret
metadata: {namespace: argocd, name: argocd-secret, labels: {app.kubernetes.io/part-of: argocd, app.kubernetes.io/name: argocd-secret}}
stringData: {server.secretkey: nobody-signs-in-here}
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {namespace: argocd, name: default}
spec:
  sourceRepos: ["*"]
  destinations: [{namespace: "*", server: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
`

// startArgo runs the application controller and the repo-server of Argo CD with the health rule that Trellis ships.
func startArgo(t *testing.T, l *lab) {
	t.Helper()
	folder := required(t, "TRELLIS_PEER_ARGOCD")
	l.define(t, definitions(t, filepath.Join(folder, "crds"))...)
	prepareArgo(t, l)
	dir := t.TempDir()
	common := []string{
		"KUBECONFIG=" + l.kubeconfig, "HOME=" + dir, "TMPDIR=" + dir, "ARGOCD_GPG_ENABLED=false", "ARGOCD_FAKE_IN_CLUSTER=true",
		"ARGOCD_TLS_DATA_PATH=" + dir, "ARGOCD_SSH_DATA_PATH=" + dir, "ARGOCD_PLUGINSOCKFILEPATH=" + dir,
		"ARGOCD_ASK_PASS_SOCK=" + filepath.Join(dir, "ask"), "HOSTNAME=argocd-application-controller-0",
	}
	program := func(name string, args ...string) {
		start(t, name, filepath.Join(folder, "argocd"), append(common, "ARGOCD_BINARY_NAME="+name), args...)
	}
	start(t, "redis", filepath.Join(folder, "redis"), nil, argoRedis)
	reachable(t, argoRedis)
	repoHost, repoPort, _ := strings.Cut(argoRepo, ":")
	program("argocd-repo-server", "--redis="+argoRedis, "--address="+repoHost, "--port="+repoPort, "--disable-tls", "--metrics-address=127.0.0.1", "--metrics-port=18084")
	reachable(t, argoRepo)
	program("argocd-application-controller", "--redis="+argoRedis, "--repo-server="+argoRepo, "--repo-server-plaintext", "--kubeconfig="+l.kubeconfig,
		"--namespace="+argoNamespace, "--metrics-port=18082", "--app-resync=3600")
}

func prepareArgo(t *testing.T, l *lab) {
	t.Helper()
	ns := object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+argoNamespace+"}")
	if err := l.client.Create(t.Context(), ns); err != nil {
		t.Fatalf("the tests want namespace %s for themselves: %v", argoNamespace, err)
	}
	t.Cleanup(func() { l.remove(t, ns) })
	all, err := objects([]byte(argoObjects))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		l.create(t, u)
	}
	// What the documentation says to do: kubectl apply --server-side.
	snippet, err := os.ReadFile(filepath.Join(root(t), "examples", "argocd", "argocd-cm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object(t, string(snippet))), client.FieldOwner("kubectl")); err != nil {
		t.Fatal(err)
	}
}

// reachable waits until somebody listens.
func reachable(t *testing.T, address string) {
	t.Helper()
	eventually(t, address+" answers", func(ctx context.Context) string {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err.Error()
		}
		_ = conn.Close()
		return ""
	})
}
