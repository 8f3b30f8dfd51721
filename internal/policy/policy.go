// Package policy reads the policies of an application that say how it is reached from outside its lattice, and where its
// secrets come from. It is pure: text in, settings or problems out.
package policy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// ExposeType is the type of the policies that are read.
const ExposeType = "policy.expose.wasmcloud.dev/v1alpha1"

// Settings are what all policies of an application say together.
type Settings struct {
	Service Service
	// Declared are the components whose ports are listed by hand; what else they listen on is not shown.
	Declared map[string]bool
	// Ports that are listed, in the order of the policies.
	Ports   []Port
	Routes  []Route
	Ingress *Ingress
}

// Service holds what a policy says about the Service as a whole. What is empty is left to Kubernetes and the user.
type Service struct {
	Type                  corev1.ServiceType
	Annotations           map[string]string
	Labels                map[string]string
	SessionAffinity       corev1.ServiceAffinity
	SessionTimeout        int32
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy
	InternalTrafficPolicy corev1.ServiceInternalTrafficPolicy
	LoadBalancerClass     string
	Headless              bool
	// HostAddressLabel is the label of hosts outside of the cluster that holds the address at which they are reached.
	HostAddressLabel string
}

// Port is a port of the Service, and of every host that runs the component.
type Port struct {
	// Component is the name of a capability provider in the manifest.
	Component string
	// Name is empty where it is left to Trellis.
	Name        string
	Port        uint16
	TargetPort  uint16
	Protocol    corev1.Protocol
	AppProtocol string
}

// Route is a route of the Gateway API.
type Route struct {
	Kind string `json:"kind"`
	// Name is the end of the name of the object; one route of a kind may do without.
	Name        string            `json:"name,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	ParentRefs  []ParentRef       `json:"parentRefs"`
	Hostnames   []string          `json:"hostnames,omitempty"`
	Rules       []Rule            `json:"rules,omitempty"`
}

// ParentRef names the Gateway, as in the Gateway API.
type ParentRef struct {
	Group       string `json:"group,omitempty"`
	Kind        string `json:"kind,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name"`
	SectionName string `json:"sectionName,omitempty"`
	Port        int32  `json:"port,omitempty"`
}

// Rule is a rule of a route. What is free here is judged by the Gateway API itself.
type Rule struct {
	Name               string           `json:"name,omitempty"`
	Matches            []map[string]any `json:"matches,omitempty"`
	Filters            []map[string]any `json:"filters,omitempty"`
	Timeouts           map[string]any   `json:"timeouts,omitempty"`
	Retry              map[string]any   `json:"retry,omitempty"`
	SessionPersistence map[string]any   `json:"sessionPersistence,omitempty"`
	BackendRefs        []BackendRef     `json:"backendRefs,omitempty"`
}

// BackendRef is where requests go. Without application and name it is the Service of the application itself.
type BackendRef struct {
	// Application of the same namespace, whose Service is meant.
	Application string `json:"application,omitempty"`
	Group       string `json:"group,omitempty"`
	Kind        string `json:"kind,omitempty"`
	Name        string `json:"name,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	// Port of the Service; zero: its first.
	Port    int32            `json:"port,omitempty"`
	Weight  *int32           `json:"weight,omitempty"`
	Filters []map[string]any `json:"filters,omitempty"`
}

// Ingress is a classic Ingress, for clusters without the Gateway API.
type Ingress struct {
	ClassName   string            `json:"className,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Hosts       []string          `json:"hosts,omitempty"`
	Paths       []string          `json:"paths,omitempty"`
	PathType    string            `json:"pathType,omitempty"`
	// Port is the name of a port of the Service; empty: its first.
	Port      string `json:"port,omitempty"`
	TLSSecret string `json:"tlsSecret,omitempty"`
}

// Problem is something in a policy that can't be used.
type Problem struct {
	Application string
	// Index of the policy in the manifest, and its name.
	Index  int
	Policy string
	// Property of the policy, and the field within its text; both may be empty.
	Property string
	Field    string
	// Text says what is wrong and what to do.
	Text string
}

// Error returns a sentence.
func (p Problem) Error() string {
	where := fmt.Sprintf("application %s, policy %q", p.Application, p.Policy)
	if p.Property != "" {
		where += ", property " + p.Property
	}
	if p.Field != "" {
		where += ", field " + p.Field
	}
	return where + ": " + p.Text
}
