//go:build linux

// Package local is the cluster that the harness makes on this machine: etcd
// and the control plane as processes of the machine, and nodes as sets of
// namespaces with containerd, kubelet and kube-proxy of their own.
package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trellis-operator/trellis/test/kube/internal/certs"
	"github.com/trellis-operator/trellis/test/kube/internal/kubeapi"
	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/state"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// MaxNodes is how many nodes fit into the address plan.
const MaxNodes = 9

// Cluster is this machine's cluster. It is made by Up, and every other method
// works on what a former run made.
type Cluster struct {
	Dir    state.Dir
	Cache  *tools.Cache
	Report tools.Reporter
	Nodes  int
	// BinFolder is where "up" leaves kubectl.
	BinFolder string

	certs certs.Store
	paths map[string]string // tool to folder
}

// New returns the machine's cluster. It makes nothing.
func New(dir state.Dir, cache *tools.Cache, report tools.Reporter, nodes int, binFolder string) (*Cluster, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("a cluster on this machine needs root; become root, or use a cluster that you have with CLUSTER=existing, KUBECONFIG= and IMAGE_REGISTRY=")
	}
	if nodes < 1 || nodes > MaxNodes {
		return nil, fmt.Errorf("NODES is %d; it goes from 1 to %d", nodes, MaxNodes)
	}
	return &Cluster{
		Dir: dir, Cache: cache, Report: report, Nodes: nodes, BinFolder: binFolder,
		certs: certs.Store{Folder: dir.Path("pki"), Now: time.Now},
		paths: map[string]string{},
	}, nil
}

// Kubeconfig is the administrator's.
func (c *Cluster) Kubeconfig() string { return c.Dir.Path("kubeconfig") }

// Registry is the address of the cluster's OCI registry, the same from pods
// and from this machine.
func (c *Cluster) Registry() string {
	return fmt.Sprintf("%s:%d", network.RegistryIP, network.RegistryPort)
}

// Insecure says that the registry speaks plain HTTP.
func (c *Cluster) Insecure() bool { return true }

// Build builds every tool that the cluster needs.
func (c *Cluster) Build(ctx context.Context) error {
	for _, tool := range tools.Cluster() {
		if _, err := c.folder(ctx, tool.Name); err != nil {
			return err
		}
	}
	return nil
}

// Tool returns the path of a program, building its tool if needed.
func (c *Cluster) Tool(ctx context.Context, tool, program string) (string, error) {
	folder, err := c.folder(ctx, tool)
	return filepath.Join(folder, program), err
}

func (c *Cluster) folder(ctx context.Context, name string) (string, error) {
	if path, known := c.paths[name]; known {
		return path, nil
	}
	tool, known := tools.ByName(name)
	if !known {
		return "", fmt.Errorf("there is no tool named %q", name)
	}
	path, err := c.Cache.Path(ctx, tool, c.Report)
	if err == nil {
		c.paths[name] = path
	}
	return path, err
}

func (c *Cluster) server() string { return "https://" + network.MachineIP + ":6443" }

func (c *Cluster) api() (*kubeapi.Client, error) {
	return kubeapi.New(c.server(), c.certs.CertFile("ca"), c.certs.CertFile("admin"), c.certs.KeyFile("admin"))
}

func (c *Cluster) log(name string) string { return c.Dir.Path("logs", name+".log") }
