package policy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// maxPorts is how many ports a Service may show.
const maxPorts = 100

// writtenPort is a port as it stands in the policy.
type writtenPort struct {
	Name        string `json:"name,omitempty"`
	Port        int64  `json:"port,omitempty"`
	TargetPort  int64  `json:"targetPort,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	AppProtocol string `json:"appProtocol,omitempty"`
}

// ports reads the list of ports. An empty list says that the component is not shown.
func (r *reader) ports(text string) {
	component := r.component()
	var written []writtenPort
	if !r.decode(text, &written) {
		return
	}
	if component == "" {
		if len(written) == 0 {
			r.problem("", "the list is empty, which hides a component, and names none; set component, or list ports")
		}
		return // it has been said which one is missing
	}
	r.settings.Declared[component] = true
	for i, w := range written {
		if p, ok := r.port(fmt.Sprintf("[%d]", i), w); ok {
			p.Component = component
			r.settings.Ports = append(r.settings.Ports, p)
		}
	}
}

func (r *reader) port(at string, w writtenPort) (Port, bool) {
	before := len(r.problems)
	if w.TargetPort == 0 {
		w.TargetPort = w.Port
	}
	if w.Port == 0 {
		w.Port = w.TargetPort
	}
	number := func(field string, n int64) uint16 {
		if n < 1 || n > 65535 {
			r.problem(at+field, "%d is no port; use a number from 1 to 65535", n)
			return 0
		}
		return uint16(n)
	}
	p := Port{Name: w.Name, Port: number(".port", w.Port), TargetPort: number(".targetPort", w.TargetPort),
		Protocol: corev1.Protocol(w.Protocol), AppProtocol: w.AppProtocol}
	if p.Protocol == "" {
		p.Protocol = corev1.ProtocolTCP
	}
	if p.Protocol != corev1.ProtocolTCP && p.Protocol != corev1.ProtocolUDP {
		r.problem(at+".protocol", "%q is unknown; use TCP or UDP", shorten(w.Protocol))
	}
	if p.Name != "" {
		if errs := validation.IsDNS1123Label(p.Name); len(errs) > 0 {
			r.problem(at+".name", "%q is no name of a port; use up to 63 lower-case letters, digits and -", shorten(p.Name))
		}
	}
	if p.AppProtocol != "" {
		if errs := validation.IsQualifiedName(p.AppProtocol); len(errs) > 0 {
			r.problem(at+".appProtocol", "%q is no protocol; use a name as http, or one with a domain as kubernetes.io/h2c", shorten(p.AppProtocol))
		}
	}
	return p, len(r.problems) == before
}

// distinct looks for ports that can't stand in one Service.
func (r *reader) distinct() {
	r.index, r.property = r.lastWith("ports"), "ports"
	ports := r.settings.Ports
	if len(ports) > maxPorts {
		r.problem("", "the policies list %d ports; a Service takes %d", len(ports), maxPorts)
		return
	}
	for i, p := range ports {
		for _, q := range ports[:i] {
			switch {
			case p.Port == q.Port && p.Protocol == q.Protocol:
				r.problem("", "%s port %d is listed twice, for %s and %s; give each its own port", p.Protocol, p.Port, q.Component, p.Component)
			case p.Name != "" && p.Name == q.Name:
				r.problem("", "two ports have the name %s, that of %s and that of %s; give each its own name", p.Name, q.Component, p.Component)
			}
		}
	}
}

// lastWith is the policy that is to blame for what several say together.
func (r *reader) lastWith(property string) int {
	for i, p := range slices.Backward(r.spec.Policies) {
		if _, has := p.Properties[property]; has && p.Type == ExposeType {
			r.current = p
			return i
		}
	}
	return r.index
}

// reserved says whether users may not set a label or annotation: others than Trellis read what these say.
func reserved(key string) bool {
	prefix, _, found := strings.Cut(key, "/")
	if !found {
		return false
	}
	return prefix == "k8s.wasmcloud.dev" || prefix == "app.kubernetes.io" && (strings.HasSuffix(key, "/name") || strings.HasSuffix(key, "/managed-by")) ||
		prefix == "kubernetes.io" || prefix == "endpointslice.kubernetes.io" || key == corev1.LastAppliedConfigAnnotation
}
