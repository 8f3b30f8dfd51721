//go:build linux

package local

import (
	"encoding/json"
	"fmt"

	"github.com/trellis-operator/trellis/test/kube/internal/image"
	"github.com/trellis-operator/trellis/test/kube/internal/network"
)

// Paths as a node sees them. The node's /var/lib is a folder of the state
// folder, so Lib and Socket are reachable from the machine as well.
const (
	nodeLib    = "/var/lib/trellis"
	nodeTools  = nodeLib + "/tools"
	nodeSocket = nodeLib + "/containerd.sock"
	registries = nodeLib + "/registries"
)

type object map[string]any

// containerdConfig keeps away from everything of the machine: no AppArmor
// profile is loaded, no plug-in folder of the machine is read, and no
// oom_score_adj below the machine's own is asked for.
func containerdConfig(tools string) string {
	return fmt.Sprintf(`version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
imports = []
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.image-verifier.v1.bindir", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = %q

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = %q
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = %q

[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  enable_criu = false
  cdi_spec_dirs = []
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [%q]
    conf_dir = %q
`, nodeSocket, image.Pause, registries, tools, nodeLib+"/cni")
}

// registryHosts makes containerd speak plain HTTP to the cluster's registry.
func registryHosts(address string) string {
	return fmt.Sprintf("server = \"http://%s\"\n\n[host.\"http://%s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", address, address)
}

// cniConfig connects pods point to point: every packet of a pod is routed by
// the node and so seen by kube-proxy's rules. On a bridge, two pods of one
// node would answer each other directly, past the rules, wherever the kernel
// has no br_netfilter.
func cniConfig(n int) ([]byte, error) {
	return json.MarshalIndent(object{
		"cniVersion": "1.0.0", "name": "trellis",
		"plugins": []object{
			{
				"type": "ptp", "ipMasq": false,
				"ipam": object{
					"type": "host-local", "dataDir": "/run/cni-ipam",
					"ranges": [][]object{{{"subnet": network.NodePods(n)}}},
					"routes": []object{{"dst": "0.0.0.0/0"}},
				},
			},
			{"type": "portmap", "backend": "nftables", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
}

func kubeletConfig(n int) ([]byte, error) {
	name := network.NodeName(n)
	return json.MarshalIndent(object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"containerRuntimeEndpoint": "unix://" + nodeSocket,
		"cgroupDriver":             "cgroupfs", "cgroupRoot": "/" + cgroupPath(name), "failCgroupV1": false,
		"enforceNodeAllocatable": []string{}, "failSwapOn": false, "oomScoreAdj": 0,
		"address":    network.NodeIP(n),
		"clusterDNS": []string{network.DNSIP}, "clusterDomain": network.ClusterDomain,
		"resolvConf":     nodeLib + "/resolv.conf",
		"authentication": object{"anonymous": object{"enabled": false}, "webhook": object{"enabled": true}, "x509": object{"clientCAFile": nodeLib + "/ca.crt"}},
		"authorization":  object{"mode": "Webhook"},
		"tlsCertFile":    nodeLib + "/kubelet.crt", "tlsPrivateKeyFile": nodeLib + "/kubelet.key",
		"healthzBindAddress": "127.0.0.1", "makeIPTablesUtilChains": false,
		"volumePluginDir": "/var/lib/kubelet/volume-plugins", "podLogsDir": "/var/log/pods",
		// Images are imported, not pulled: throwing one away would be final.
		"imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
		"evictionHard": object{"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
		// A watched change reaches pods at once either way; these bound how
		// long the kubelet sits on its own news.
		"syncFrequency": "10s", "fileCheckFrequency": "20s", "nodeStatusUpdateFrequency": "5s",
		"configMapAndSecretChangeDetectionStrategy": "Watch",
		"serializeImagePulls":                       false,
		// Otherwise an image that was imported under one name and pulled under
		// another counts as pulled, and whoever uses the first name waits for
		// a registry that cannot be reached.
		"imagePullCredentialsVerificationPolicy": "NeverVerify",
	}, "", "  ")
}

func kubeProxyConfig(n int) ([]byte, error) {
	return json.MarshalIndent(object{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
		"mode": "nftables", "clusterCIDR": network.PodsCIDR, "detectLocalMode": "ClusterCIDR",
		"hostnameOverride": network.NodeName(n), "bindAddress": network.NodeIP(n), "oomScoreAdj": 0,
		"clientConnection":   object{"kubeconfig": nodeLib + "/kube-proxy.kubeconfig"},
		"healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
		// The machine's conntrack table is not ours to resize.
		"conntrack": object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	}, "", "  ")
}
