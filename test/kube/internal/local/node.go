//go:build linux

package local

import (
	"context"
	"encoding/json"
	"os"
	"syscall"

	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/process"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// unprivileged is the user that the project's images run as; folders for
// hostPath volumes belong to it.
const unprivileged = 65532

// ensureNode starts the n-th node unless it runs, and plugs it in.
func (c *Cluster) ensureNode(ctx context.Context, n int) error {
	name := network.NodeName(n)
	path, err := c.writeNode(ctx, n)
	if err != nil {
		return err
	}
	executable, err := c.Tool(ctx, tools.Node, "node")
	if err != nil {
		return err
	}
	if err := c.ensureGroup(cgroupPath(name)); err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	record, started, err := process.Ensure(c.Dir, process.Spec{
		Name: name, Path: executable, Args: []string{path}, Log: c.log(name),
		// The configuration is part of what decides whether it still fits.
		Env:        []string{"TRELLIS_KUBE_CONFIG=" + digest(content)},
		CloneFlags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	})
	if err != nil {
		return err
	}
	if !started {
		if plugged, err := network.Replug(n); err != nil || plugged {
			return err
		}
	}
	return network.Plug(n, record.PID)
}

// nodeFolder is where the machine keeps the node's /var/lib/trellis.
func (c *Cluster) nodeFolder(name string) string { return c.Dir.Path("nodes", name, "lib", "trellis") }

// writeNode writes the node's files and returns the path of its configuration.
func (c *Cluster) writeNode(ctx context.Context, n int) (string, error) {
	name := network.NodeName(n)
	if err := c.makeNodeFolders(name); err != nil {
		return "", err
	}
	files, err := c.nodeFiles(ctx, n)
	if err != nil {
		return "", err
	}
	for file, content := range files {
		if err := c.Dir.WriteFile(content, 0o600, "nodes", name, "lib/trellis", file); err != nil {
			return "", err
		}
	}
	config, err := c.nodeConfig(ctx, n)
	if err != nil {
		return "", err
	}
	listing, err := json.Marshal(files) // sorted by name
	if err != nil {
		return "", err
	}
	config.Files = digest(listing)
	content, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return "", err
	}
	return c.Dir.Path("nodes", name, "node.json"), c.Dir.WriteFile(content, 0o600, "nodes", name, "node.json")
}

func (c *Cluster) makeNodeFolders(name string) error {
	for _, folder := range []string{"log", "lib/trellis/tools", "lib/trellis/cni", "lib/kubelet", "lib/containerd", "lib/cni"} {
		if _, err := c.Dir.Make(0o755, "nodes", name, folder); err != nil {
			return err
		}
	}
	for _, folder := range []string{"registry", "nats", "data"} {
		path, err := c.Dir.Make(0o755, "nodes", name, "lib/trellis", folder)
		if err != nil {
			return err
		}
		if err := os.Chown(path, unprivileged, unprivileged); err != nil {
			return err
		}
	}
	return nil
}

// nodeFiles are the files in a node's /var/lib/trellis.
func (c *Cluster) nodeFiles(ctx context.Context, n int) (map[string][]byte, error) {
	name := network.NodeName(n)
	cniFolder, err := c.nodeTool(ctx, tools.CNI, "")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"containerd.toml": []byte(containerdConfig(cniFolder)),
		"resolv.conf":     []byte("nameserver " + network.DNSIP + "\n"),
		"registries/" + c.Registry() + "/hosts.toml": []byte(registryHosts(c.Registry())),
	}
	for file, make := range map[string]func(int) ([]byte, error){
		"kubelet.json": kubeletConfig, "kube-proxy.json": kubeProxyConfig, "cni/10-trellis.conflist": cniConfig,
	} {
		if files[file], err = make(n); err != nil {
			return nil, err
		}
	}
	for file, source := range map[string]string{
		"ca.crt": c.certs.CertFile(clusterCA), "kubelet.crt": c.certs.CertFile(name), "kubelet.key": c.certs.KeyFile(name),
		"kubelet.kubeconfig":    c.Dir.Path("pki", name+".kubeconfig"),
		"kube-proxy.kubeconfig": c.Dir.Path("pki", "kube-proxy.kubeconfig"),
	} {
		if files[file], err = os.ReadFile(source); err != nil {
			return nil, err
		}
	}
	return files, nil
}
