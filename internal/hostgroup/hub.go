package hostgroup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// hubChoice is which NATS the leaf of a group connects to.
type hubChoice struct {
	leafURLs []string
	// issue says that Trellis makes the credentials.
	issue bool
}

// chooseHub applies the rule of the spec page: an address that the user named wins, then the NATS of the chart if it
// has the lattice, then the default of wasmCloud's operator where there is no such NATS.
func chooseHub(group *v1alpha1.WasmCloudHostConfig, hub Hub) (hubChoice, *problem) {
	s := &group.Spec
	addresses := hubAddresses(s)
	port := s.NatsLeafnodePort
	if port == 0 {
		port = 7422
	}
	if hub.Address == "" || len(addresses) > 0 && !slices.Equal(addresses, []string{hub.Address}) {
		return hubChoice{leafURLs: withPort(addresses, port)}, nil
	}
	namespaces, known := hub.Lattices[s.Lattice]
	if !known {
		return hubChoice{}, invalid(v1alpha1.ReasonLatticeNotPermitted,
			"The NATS of Trellis has no lattice %s: add it to the chart's value nats.lattices, or set spec.natsAddress to the NATS that has it.", s.Lattice)
	}
	if hub.LeafPort != 0 {
		port = hub.LeafPort
	}
	choice := hubChoice{leafURLs: withPort([]string{hub.Address}, port), issue: s.SecretName == ""}
	if choice.issue && !slices.Contains(namespaces, "*") && !slices.Contains(namespaces, group.Namespace) {
		return hubChoice{}, invalid(v1alpha1.ReasonLatticeNotPermitted,
			"Namespace %s may not join lattice %s: ask for it to be listed in the chart's value nats.lattices[%s].namespaces.",
			group.Namespace, s.Lattice, s.Lattice)
	}
	return choice, nil
}

// hubAddresses are those that the user named.
func hubAddresses(s *v1alpha1.WasmCloudHostConfigSpec) []string {
	var out []string
	if s.NATS != nil {
		for _, a := range s.NATS.Addresses {
			out = append(out, strings.TrimSuffix(a, "/"))
		}
	}
	if len(out) == 0 && s.NatsAddress != "" {
		out = append(out, strings.TrimSuffix(s.NatsAddress, "/"))
	}
	return out
}

// withPort falls back to the address of wasmCloud's operator.
func withPort(addresses []string, port int32) []string {
	if len(addresses) == 0 {
		addresses = []string{DefaultNatsAddress}
	}
	out := make([]string, 0, len(addresses))
	for _, a := range addresses {
		out = append(out, fmt.Sprintf("%s:%d", a, port))
	}
	return out
}
