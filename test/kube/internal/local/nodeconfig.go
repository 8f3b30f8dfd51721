//go:build linux

package local

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// machineSysctls belong to the whole machine and the kubelet insists on
// writing them (panic at an oops, for one): nodes get copies.
var machineSysctls = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// nodeConfig is tools/node's Config.
type nodeConfig struct {
	Name     string    `json:"name"`
	Binds    []bind    `json:"binds"`
	Sysctls  []string  `json:"sysctls"`
	Cable    cable     `json:"cable"`
	Programs []program `json:"programs"`
	// Files is a digest of the files that the programs read: a node is made
	// anew when one of them changes.
	Files string `json:"files"`
}

type bind struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type cable struct {
	Link    string            `json:"link"`
	Address string            `json:"address"`
	Routes  map[string]string `json:"routes"`
}

type program struct {
	Name  string   `json:"name"`
	Path  string   `json:"path"`
	Args  []string `json:"args"`
	Log   string   `json:"log"`
	After string   `json:"after,omitempty"`
}

// nodeTool is the path of a tool's program as the node sees it.
func (c *Cluster) nodeTool(ctx context.Context, tool, program string) (string, error) {
	folder, err := c.folder(ctx, tool)
	return filepath.Join(nodeTools, filepath.Base(folder), program), err
}

func (c *Cluster) nodeConfig(ctx context.Context, n int) (nodeConfig, error) {
	name := network.NodeName(n)
	cache, err := tools.Folder()
	if err != nil {
		return nodeConfig{}, err
	}
	programs, err := c.nodePrograms(ctx, n)
	return nodeConfig{
		Name: name,
		Binds: []bind{
			{From: cache, To: c.Dir.Path("nodes", name, "lib/trellis/tools")},
			{From: c.Dir.Path("nodes", name, "log"), To: "/var/log"},
			{From: c.Dir.Path("nodes", name, "lib"), To: "/var/lib"}, // last: it covers the state folder
		},
		Sysctls:  machineSysctls,
		Cable:    cable{Link: network.VethNode(n), Address: network.NodeIP(n) + "/24", Routes: nodeRoutes(n)},
		Programs: programs,
	}, err
}

func (c *Cluster) nodePrograms(ctx context.Context, n int) ([]program, error) {
	name := network.NodeName(n)
	containerd, err1 := c.nodeTool(ctx, tools.Containerd, "containerd")
	kubelet, err2 := c.nodeTool(ctx, tools.Kubernetes, "kubelet")
	kubeProxy, err3 := c.nodeTool(ctx, tools.Kubernetes, "kube-proxy")
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return nil, err
		}
	}
	return []program{
		{Name: "containerd", Path: containerd, Args: []string{"--config", nodeLib + "/containerd.toml"}, Log: "/var/log/containerd.log"},
		{
			Name: "kubelet", Path: kubelet, Log: "/var/log/kubelet.log", After: nodeSocket,
			Args: []string{
				"--config=" + nodeLib + "/kubelet.json", "--kubeconfig=" + nodeLib + "/kubelet.kubeconfig",
				"--hostname-override=" + name, "--node-ip=" + network.NodeIP(n),
				fmt.Sprintf("--node-labels=topology.kubernetes.io/zone=trellis-zone-%d", n),
			},
		},
		{Name: "kube-proxy", Path: kubeProxy, Args: []string{"--config=" + nodeLib + "/kube-proxy.json"}, Log: "/var/log/kube-proxy.log"},
	}, nil
}

// nodeRoutes send everything to the machine, and the pods of every node that
// may exist to that node: nodes can be added without touching the others.
func nodeRoutes(n int) map[string]string {
	routes := map[string]string{"0.0.0.0/0": network.MachineIP}
	for other := 1; other <= MaxNodes; other++ {
		if other != n {
			routes[network.NodePods(other)] = network.NodeIP(other)
		}
	}
	return routes
}
