// Package network is the machine's side of the cluster's network: one bridge,
// one veth pair a node, and routes to the Services and pods by way of a node.
package network

import (
	"fmt"
	"net/netip"
)

// Names and addresses. They are fixed, because a machine has one cluster.
const (
	Bridge        = "trellis0"
	MachineIP     = "10.217.0.1"
	NodesCIDR     = "10.217.0.0/24"
	PodsCIDR      = "10.218.0.0/16"
	ServicesCIDR  = "10.219.0.0/16"
	KubernetesIP  = "10.219.0.1"
	DNSIP         = "10.219.0.10"
	RegistryIP    = "10.219.0.50"
	RegistryPort  = 5000
	ClusterDomain = "cluster.local"
)

// NodeName is the name of the n-th node, counted from 1.
func NodeName(n int) string { return fmt.Sprintf("trellis-node-%d", n) }

// NodeIP is the n-th node's address on the bridge.
func NodeIP(n int) string { return fmt.Sprintf("10.217.0.%d", 10+n) }

// NodePods is the range of the n-th node's pods.
func NodePods(n int) string { return fmt.Sprintf("10.218.%d.0/24", n) }

// VethMachine and VethNode are the two ends of the n-th node's cable; the
// node renames its end to eth0.
func VethMachine(n int) string { return fmt.Sprintf("trellis-n%d", n) }

// VethNode is the node's end before it is renamed.
func VethNode(n int) string { return fmt.Sprintf("trellis-n%dp", n) }

// Ours tells whether an address range is in the way of the cluster's. A range
// much wider than the cluster's, as of a VPN, is not: the narrower route wins.
func Ours(prefix netip.Prefix) bool {
	if prefix.Bits() < 16 {
		return false
	}
	for _, cidr := range []string{NodesCIDR, PodsCIDR, ServicesCIDR} {
		if netip.MustParsePrefix(cidr).Overlaps(prefix) {
			return true
		}
	}
	return false
}
