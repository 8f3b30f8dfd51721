//go:build linux

package local

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/test/kube/internal/image"
	"github.com/trellis-operator/trellis/test/kube/internal/network"
)

func TestAddons_Complete(t *testing.T) {
	objects, err := addons()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(objects); strings.Contains(text, "{{") || !strings.Contains(text, image.CoreDNS) {
		t.Errorf("a value is not filled in:\n%s", text)
	}
}

func TestNodeFiles_AreJSON(t *testing.T) {
	for name, make := range map[string]func(int) ([]byte, error){"kubelet": kubeletConfig, "kube-proxy": kubeProxyConfig, "cni": cniConfig} {
		content, err := make(2)
		if err != nil || !json.Valid(content) {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(string(content), "2") {
			t.Errorf("%s does not know its node", name)
		}
	}
}

// A node's certificate must be what the Node authorizer and the API server's
// calls to the kubelet go by.
func TestIdentities_Node(t *testing.T) {
	request := identities(2)[clusterCA]["trellis-node-2"]
	if request.Name != "system:node:trellis-node-2" || request.Groups[0] != "system:nodes" || request.Hosts[1] != network.NodeIP(2) {
		t.Errorf("got %+v", request)
	}
}

func TestNodeRoutes(t *testing.T) {
	routes := nodeRoutes(1)
	if _, own := routes[network.NodePods(1)]; own || routes["0.0.0.0/0"] != network.MachineIP || routes[network.NodePods(2)] != network.NodeIP(2) {
		t.Errorf("got %v", routes)
	}
}

func TestMadeFrom_Missing(t *testing.T) {
	_, err := madeFrom(image.Spec{Ref: "x:1", Programs: map[string]string{"/x": "/nonexistent"}})
	if err == nil || !strings.Contains(err.Error(), "build it first") {
		t.Errorf("got %v", err)
	}
}

// What the kubelet needs is passed on, what is passed on already is left alone.
func TestDelegate(t *testing.T) {
	folder := t.TempDir()
	for file, content := range map[string]string{"cgroup.controllers": "cpuset cpu io memory pids misc\n", "cgroup.subtree_control": "cpu memory\n"} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	added, err := delegate(folder)
	if diff := cmp.Diff([]string{"cpuset", "pids"}, added); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := delegate(t.TempDir()); err == nil {
		t.Error("a folder that is no control group is taken for one")
	}
}
