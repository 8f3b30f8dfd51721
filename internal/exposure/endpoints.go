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

// served is a port with the pods that serve it.
type served struct {
	name   string
	number uint16
	// pods by name.
	pods []servingPod
}

// servingPod is a pod whose host serves a port.
type servingPod struct {
	pod  *corev1.Pod
	host string
}

// hostsOf returns the hosts that serve a port: those that run the provider and, where the provider only reaches its own
// host, a target of the link. Where that can't be told (an upstream host with the provider as a program of its own
// reaches every host), hosts that run both come first.
func hostsOf(p port, view View) []Host {
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

// addressesOf returns the pod's addresses by family.
func addressesOf(pod *corev1.Pod) map[discoveryv1.AddressType]string {
	out := map[discoveryv1.AddressType]string{}
	for _, ip := range pod.Status.PodIPs {
		addr, err := netip.ParseAddr(ip.IP)
		if err != nil {
			continue
		}
		family := discoveryv1.AddressTypeIPv6
		if addr.Is4() {
			family = discoveryv1.AddressTypeIPv4
		}
		if _, taken := out[family]; !taken {
			out[family] = ip.IP
		}
	}
	return out
}

// endpoint describes a pod as the endpoint slice controller of Kubernetes does.
func endpoint(pod *corev1.Pod, address string) discoveryv1.Endpoint {
	isReady := podCondition(pod)
	terminating := pod.DeletionTimestamp != nil
	e := discoveryv1.Endpoint{
		Addresses: []string{address},
		Conditions: discoveryv1.EndpointConditions{
			Ready: new(isReady && !terminating), Serving: new(isReady), Terminating: new(terminating)},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if pod.Spec.NodeName != "" {
		e.NodeName = new(pod.Spec.NodeName)
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

func byPod(a, b servingPod) int {
	return cmp.Or(cmp.Compare(a.pod.Namespace, b.pod.Namespace), cmp.Compare(a.pod.Name, b.pod.Name))
}

func sortPods(pods []servingPod) []servingPod {
	slices.SortFunc(pods, byPod)
	return slices.CompactFunc(pods, func(a, b servingPod) bool { return a.pod.UID == b.pod.UID })
}
