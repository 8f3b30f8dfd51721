package exposure

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/lattice"
)

// served is a port of the Service with what serves it.
type served struct {
	name string
	// number is what is listened on, front what the Service shows.
	number, front uint16
	protocol      corev1.Protocol
	appProtocol   string
	declared      bool
	// by is in the order of names.
	by []server
}

// server is a pod whose host serves a port, or a host without pod, by its address.
type server struct {
	pod  *corev1.Pod
	zone string
	// address of a host outside of the cluster; pod is nil.
	address string
}

// hostsOf returns the hosts that serve a port: those that run the provider and, where the provider only reaches its own
// host, a target of the link. Where that can't be told (an upstream host with the provider as a program of its own
// reaches every host), hosts that run both come first.
func hostsOf(p port, view View) []Host {
	if p.closed {
		return nil
	}
	if !p.http {
		return view.Hosts(p.provider)
	}
	runsTarget := map[string]bool{}
	for _, target := range p.targets {
		for _, h := range view.Hosts(target) {
			runsTarget[h.ID] = true
		}
	}
	var both, rest []Host
	for _, h := range view.Hosts(p.provider) {
		switch {
		case runsTarget[h.ID]:
			both = append(both, h)
		case !p.builtin && h.Labels[lattice.LabelHTTPServer] != lattice.HTTPServerLocal && len(runsTarget) > 0:
			rest = append(rest, h)
		}
	}
	if len(both) > 0 {
		return both
	}
	return rest
}

// podOf names the pod that a host runs in, by the labels of the downward API.
func podOf(h Host) (namespace, name, uid string) {
	return h.Labels[v1alpha1.HostLabelNamespace], h.Labels[v1alpha1.HostLabelPodName], h.Labels[v1alpha1.HostLabelPodUID]
}

// addresses returns the addresses by family.
func (s server) addresses() map[discoveryv1.AddressType]string {
	out := map[discoveryv1.AddressType]string{}
	add := func(text string) {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return
		}
		family := discoveryv1.AddressTypeIPv6
		if addr.Is4() {
			family = discoveryv1.AddressTypeIPv4
		}
		if _, taken := out[family]; !taken {
			out[family] = text
		}
	}
	if s.pod == nil {
		add(s.address)
		return out
	}
	for _, ip := range s.pod.Status.PodIPs {
		add(ip.IP)
	}
	return out
}

// ready says whether it takes new connections.
func (s server) ready() bool {
	return s.pod == nil || podCondition(s.pod) && s.pod.DeletionTimestamp == nil
}

// endpoint describes a pod as the endpoint slice controller of Kubernetes does: one that ends and still serves is used
// only where no other is ready.
func (s server) endpoint(address string) discoveryv1.Endpoint {
	if s.pod == nil {
		return discoveryv1.Endpoint{Addresses: []string{address},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)}}
	}
	pod := s.pod
	e := discoveryv1.Endpoint{
		Addresses: []string{address},
		Conditions: discoveryv1.EndpointConditions{
			Ready: new(s.ready()), Serving: new(podCondition(pod)), Terminating: new(pod.DeletionTimestamp != nil)},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if pod.Spec.NodeName != "" {
		e.NodeName = new(pod.Spec.NodeName)
	}
	if s.zone != "" {
		e.Zone = new(s.zone)
	}
	return e
}

func podCondition(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// alive says whether a pod may be an endpoint at all.
func alive(pod *corev1.Pod) bool {
	return pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed && len(pod.Status.PodIPs) > 0
}

// key orders and identifies.
func (s server) key() [3]string {
	if s.pod == nil {
		return [3]string{"", "", s.address}
	}
	return [3]string{s.pod.Namespace, s.pod.Name, string(s.pod.UID)}
}

func sortServers(list []server) []server {
	slices.SortFunc(list, func(a, b server) int {
		x, y := a.key(), b.key()
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(x[2], y[2]))
	})
	return slices.CompactFunc(list, func(a, b server) bool { return a.key() == b.key() })
}

// outsideAddress is the address at which a host outside of the cluster says it is reached; empty if it says none, or one
// that no endpoint may have.
func outsideAddress(h Host, label string) string {
	if label == "" {
		return ""
	}
	addr, err := netip.ParseAddr(h.Labels[label])
	if err != nil || addr.Zone() != "" || !addr.IsGlobalUnicast() {
		return ""
	}
	return addr.Unmap().String()
}
