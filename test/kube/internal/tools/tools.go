// Package tools builds the programs of the cluster from Go modules and keeps
// them in one folder of the user's cache, keyed by what they are made from, so
// that every clone on a machine shares them.
package tools

// Version is the Kubernetes version of the cluster.
const Version = "v1.37.2"

// Tool is one module below tools/ and the programs that come out of it.
type Tool struct {
	// Name is the folder below tools/.
	Name string
	// What names it in progress lines.
	What string
	// Packages are what is built, by import path or relative to the module.
	Packages []string
	// Binary is the output's name when there is exactly one package.
	Binary string
	// Links are further names of Binary, for programs that look at theirs.
	Links []string
	// LDFlags are added to "-s -w".
	LDFlags []string
}

const (
	versionPackage = "k8s.io/component-base/version"
	containerd     = "github.com/containerd/containerd/v2/cmd/"
	cniPlugins     = "github.com/containernetworking/plugins/plugins/"
)

// Names of the tools.
const (
	Kubernetes = "kubernetes"
	Containerd = "containerd"
	CNI        = "cni"
	CoreDNS    = "coredns"
	Registry   = "registry"
	NATS       = "nats"
	Pause      = "pause"
	Node       = "node"
	Helm       = "helm"
)

// All lists every tool in the order in which they are built: the longest one
// first, so that a failure of the machine shows early.
func All() []Tool {
	return []Tool{
		{
			Name: Kubernetes, What: "Kubernetes " + Version, Packages: []string{"."}, Binary: Kubernetes,
			Links: []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"},
			LDFlags: []string{
				"-X", versionPackage + ".gitVersion=" + Version, "-X", versionPackage + ".gitMajor=1",
				"-X", versionPackage + ".gitMinor=37", "-X", versionPackage + ".gitTreeState=clean",
			},
		},
		{Name: Containerd, What: "containerd", Packages: []string{containerd + "containerd", containerd + "containerd-shim-runc-v2", containerd + "ctr"}},
		{Name: CNI, What: "CNI plugins", Packages: []string{cniPlugins + "main/ptp", cniPlugins + "main/loopback", cniPlugins + "ipam/host-local", cniPlugins + "meta/portmap"}},
		{Name: CoreDNS, What: "CoreDNS", Packages: []string{"."}, Binary: "coredns"},
		{Name: Registry, What: "OCI registry", Packages: []string{"."}, Binary: "registry"},
		{Name: NATS, What: "nats-server", Packages: []string{"github.com/nats-io/nats-server/v2"}, Binary: "nats-server"},
		{Name: Pause, What: "pause", Packages: []string{"."}, Binary: "pause"},
		{Name: Node, What: "node", Packages: []string{"."}, Binary: "node"},
		{Name: Helm, What: "Helm", Packages: []string{"helm.sh/helm/v4/cmd/helm"}, Binary: "helm"},
	}
}

// Cluster lists the tools that a cluster of our own needs: all but Helm.
func Cluster() []Tool {
	var list []Tool
	for _, tool := range All() {
		if tool.Name != Helm {
			list = append(list, tool)
		}
	}
	return list
}

// ByName returns the tool of that name.
func ByName(name string) (Tool, bool) {
	for _, tool := range All() {
		if tool.Name == name {
			return tool, true
		}
	}
	return Tool{}, false
}
