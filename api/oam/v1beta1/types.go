// Package v1beta1 holds the kinds of core.oam.dev/v1beta1 that Trellis serves: Application, the OAM manifest of
// wasmCloud, and ApplicationRevision, one stored version of it.
//
// What users wrote stays as they wrote it: nothing in this package defaults, converts or normalises a spec. Aliases
// (`actor`, `replicas`) and deprecated link forms are resolved by internal/manifest only.
package v1beta1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Application says which components, capability providers, links and configs must run in a wasmCloud lattice.
type Application struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The annotation `version` names the version of the spec, the annotation
	// `k8s.wasmcloud.dev/deployed-version` pins the version that runs, the label `k8s.wasmcloud.dev/lattice` chooses
	// the lattice.
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is the OAM manifest: what must run.
	Spec ApplicationSpec `json:"spec"`
	// status is what was observed; written by Trellis only.
	Status ApplicationStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ApplicationList is a list of applications.
type ApplicationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items is the list of applications.
	Items []Application `json:"items"`
}

// ApplicationSpec is the body of an OAM manifest. Its lists and maps are `omitzero`, not `omitempty`: what a user wrote as
// `[]` or `{}` stays, and to wadm a config with empty properties is another thing than one without properties.
type ApplicationSpec struct {
	// components are the WebAssembly components and capability providers of the application, unique by name.
	// +listType=map
	// +listMapKey=name
	Components []Component `json:"components"`
	// policies name the backends that secrets are read from, and other application-wide rules.
	// +listType=atomic
	// +optional
	Policies []Policy `json:"policies,omitzero"`
}

// Policy is a named rule of an application, for instance a secrets backend
// (type `policy.secret.wasmcloud.dev/v1alpha1`).
type Policy struct {
	// name is what secrets refer to.
	Name string `json:"name"`
	// type says how properties are read, for instance `policy.secret.wasmcloud.dev/v1alpha1`.
	Type string `json:"type"`
	// properties are the settings of the policy, by type.
	// +optional
	Properties map[string]string `json:"properties,omitzero"`
}

// Component is one WebAssembly component (`type: component`) or capability provider (`type: capability`).
type Component struct {
	// name is unique within the application; links refer to it.
	Name string `json:"name"`
	// type is `component` (alias `actor`) or `capability`.
	Type string `json:"type"`
	// properties say what runs: an image or a reference to a shared component, its id, its configuration and secrets.
	Properties ComponentProperties `json:"properties"`
	// traits say how it runs: `spreadscaler`, `daemonscaler` and `link`.
	// +listType=atomic
	// +optional
	Traits []Trait `json:"traits,omitzero"`
}

// ComponentProperties says what a component or provider is. Exactly one of image and application is set.
type ComponentProperties struct {
	// image is the reference of the component or provider: an OCI reference, `file://` path, or
	// `wasmcloud+builtin://http-server` and the like for providers built into the host.
	// +optional
	Image string `json:"image,omitempty"`
	// application refers to a component of another application that shares it
	// (annotation `experimental.wasmcloud.dev/shared: "true"`).
	// +optional
	Application *SharedComponent `json:"application,omitempty"`
	// id is the identifier in the lattice. Default: derived from the names of application and component.
	// +optional
	ID string `json:"id,omitempty"`
	// config are the named configurations, later ones win key by key.
	// +listType=atomic
	// +optional
	Config []ConfigProperty `json:"config,omitzero"`
	// secrets are the secrets that the component or provider may read.
	// +listType=atomic
	// +optional
	Secrets []SecretProperty `json:"secrets,omitzero"`
}

// SharedComponent names a component of another application of the lattice.
type SharedComponent struct {
	// name is the name of the other application.
	Name string `json:"name"`
	// component is the name of the component within it.
	Component string `json:"component"`
}

// ConfigProperty is a named configuration.
type ConfigProperty struct {
	// name of the configuration. With properties it becomes `<application>-<name>` in the lattice; without, it is used
	// as it stands and must exist there.
	Name string `json:"name"`
	// properties are the values. Absent: the configuration is managed by someone else.
	// +optional
	Properties map[string]string `json:"properties,omitzero"`
}

// SecretProperty is a named reference to a secret; the value never appears in the application.
type SecretProperty struct {
	// name is what the component looks the secret up by.
	Name string `json:"name"`
	// properties say where the secret lies.
	Properties SecretSource `json:"properties"`
}

// SecretSource says where a secret lies.
type SecretSource struct {
	// policy is the name of the policy that describes the backend.
	Policy string `json:"policy"`
	// key of the secret in the backend.
	Key string `json:"key"`
	// field within the secret, where the backend has fields.
	// +optional
	Field string `json:"field,omitempty"`
	// version of the secret, where the backend has versions.
	// +optional
	Version string `json:"version,omitempty"`
}

// Trait says how a component runs.
type Trait struct {
	// type is `spreadscaler`, `daemonscaler`, `link`, or a type of someone else, which is kept and ignored.
	Type string `json:"type"`
	// properties depend on the type. For `link`: namespace, package, interfaces, target, source, name. For the scalers:
	// instances (alias replicas) and spread (name, requirements, weight).
	// +optional
	Properties *apiextensionsv1.JSON `json:"properties,omitempty"`
}

// ApplicationPhase is the one-word state that wasmCloud's operator has always shown.
type ApplicationPhase string

const (
	// PhaseUndeployed: no version is meant to run.
	PhaseUndeployed ApplicationPhase = "Undeployed"
	// PhaseReconciling: the lattice does not yet match the deployed version.
	PhaseReconciling ApplicationPhase = "Reconciling"
	// PhaseDeployed: the lattice matches the deployed version.
	PhaseDeployed ApplicationPhase = "Deployed"
	// PhaseFailed: a part failed and is retried with growing pauses.
	PhaseFailed ApplicationPhase = "Failed"
)

// ApplicationStatus is what was observed of an application. It holds no ages and no counters that move by themselves.
type ApplicationStatus struct {
	// observedGeneration is the metadata.generation that conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase is one of Undeployed, Reconciling, Deployed, Failed.
	// +optional
	Phase ApplicationPhase `json:"phase,omitempty"`
	// lattice that the application was resolved to; the first resolution stays.
	// +optional
	Lattice string `json:"lattice,omitempty"`
	// version of the current spec.
	// +optional
	Version string `json:"version,omitempty"`
	// deployedVersion is the version that runs or is being made to run; empty when undeployed.
	// +optional
	DeployedVersion string `json:"deployedVersion,omitempty"`
	// conditions: Ready, Reconciling, Stalled, LatticeResolved, Deployed, Exposed, Routed.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// components is the observed state of each component and provider.
	// +listType=atomic
	// +optional
	Components []ComponentStatus `json:"components,omitempty"`
	// links is the observed state of each link.
	// +listType=atomic
	// +optional
	Links []LinkStatus `json:"links,omitempty"`
	// configs is the observed state of each named configuration that the application brings.
	// +listType=atomic
	// +optional
	Configs []ConfigStatus `json:"configs,omitempty"`
	// secrets says how each secret stands that the deployed version names, without its value. It is there only where
	// Trellis serves secrets.
	// +listType=atomic
	// +optional
	Secrets []SecretStatus `json:"secrets,omitempty"`
	// endpoint is the address of the Service that exposes the application, if any.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// service is what users set on that Service, so that it is set again should the Service be made anew.
	// +optional
	Service *ServiceSettings `json:"service,omitempty"`
}

// ServiceSettings is what users set on a Service of Trellis.
type ServiceSettings struct {
	// type of the Service, if it is not the default and no policy sets it.
	// +optional
	Type string `json:"type,omitempty"`
	// annotations that are not of Trellis or of a policy, 4 KiB at most.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// nodePorts by the name of the port.
	// +optional
	NodePorts map[string]int32 `json:"nodePorts,omitempty"`
}

// ComponentStatus is the observed state of a component or provider.
type ComponentStatus struct {
	// name of the component in the spec.
	Name string `json:"name"`
	// id in the lattice.
	ID string `json:"id"`
	// kind is `component` or `capability`.
	Kind string `json:"kind"`
	// image that should run.
	// +optional
	Image string `json:"image,omitempty"`
	// desired is the number of instances (component) or hosts (provider) that should run.
	Desired int32 `json:"desired"`
	// running is the number that runs.
	Running int32 `json:"running"`
	// hosts that run it, 20 at most.
	// +listType=atomic
	// +optional
	Hosts []HostPlacement `json:"hosts,omitempty"`
	// hostCount is the number of all hosts that run it.
	HostCount int32 `json:"hostCount"`
	// message says what is missing and what would help; empty when all runs.
	// +optional
	Message string `json:"message,omitempty"`
}

// HostPlacement is the share of one host.
type HostPlacement struct {
	// hostID is the public key of the host.
	HostID string `json:"hostID"`
	// name is the friendly name of the host, or the name of its pod.
	// +optional
	Name string `json:"name,omitempty"`
	// podUID is the uid of the pod that the host runs in, where that is a pod of this cluster.
	// +optional
	PodUID types.UID `json:"podUID,omitempty"`
	// instances on this host.
	Instances int32 `json:"instances"`
}

// LinkStatus is the observed state of a link.
type LinkStatus struct {
	// source is the id of the component that calls.
	Source string `json:"source"`
	// target is the id of the component that is called.
	Target string `json:"target"`
	// name of the link.
	Name string `json:"name"`
	// interface is `namespace:package`.
	Interface string `json:"interface"`
	// ready says whether the lattice has the link as the spec wants it.
	Ready bool `json:"ready"`
	// message says what is missing.
	// +optional
	Message string `json:"message,omitempty"`
}

// ConfigStatus is the observed state of a named configuration.
type ConfigStatus struct {
	// name in the lattice.
	Name string `json:"name"`
	// ready says whether the lattice has the values of the spec.
	Ready bool `json:"ready"`
	// message says what is missing.
	// +optional
	Message string `json:"message,omitempty"`
}

// SecretState is how a secret stands.
type SecretState string

const (
	// SecretResolved: every host that runs the component was given the value that the Secret has.
	SecretResolved SecretState = "Resolved"
	// SecretStale: a host was given a value of the Secret that may not be the one it has now.
	SecretStale SecretState = "Stale"
	// SecretPending: nobody has asked for it yet, or it could not be told whether it may be had.
	SecretPending SecretState = "Pending"
	// SecretMissing: there is no such Secret, no such key in it, or not in the version that is named.
	SecretMissing SecretState = "Missing"
	// SecretDenied: nothing lets the component have it.
	SecretDenied SecretState = "Denied"
)

// SecretStatus is how a secret stands that a component or provider names. It never holds a value.
type SecretStatus struct {
	// component is the name of the component or provider in the spec.
	Component string `json:"component"`
	// name by which the component or provider asks for the secret.
	Name string `json:"name"`
	// state is one of Resolved, Stale, Pending, Missing, Denied: the last of these that holds for one of the hosts.
	State SecretState `json:"state"`
	// version is the resourceVersion that the Secret had when it was last looked at; empty if it was not.
	// +optional
	Version string `json:"version,omitempty"`
	// message says what is wrong and what would help; empty when all is well.
	// +optional
	Message string `json:"message,omitempty"`
	// hosts that run the component or tried to, 20 at most, those first where something is wrong.
	// +listType=atomic
	// +optional
	Hosts []SecretHost `json:"hosts,omitempty"`
	// hostCount is the number of all those hosts.
	HostCount int32 `json:"hostCount"`
}

// SecretHost is how a secret stands on one host.
type SecretHost struct {
	// hostID is the public key of the host.
	HostID string `json:"hostID"`
	// state is one of Resolved, Stale, Pending, Missing, Denied.
	State SecretState `json:"state"`
	// version is the resourceVersion of the Secret whose value the host was given last; empty if none is known.
	// +optional
	Version string `json:"version,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ApplicationRevision is one version of an application's spec, written when the spec was, read-only, and removed with
// its application.
type ApplicationRevision struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata; the name is `<application>.<digest of the version>`.
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// application is the name of the application.
	Application string `json:"application"`
	// version as the user named it, or a generated ULID.
	Version string `json:"version"`
	// digest is the SHA-256 of the canonical JSON of spec, in hex.
	Digest string `json:"digest"`
	// annotations and labels of the application when this version was written; they belong to the manifest that wash
	// shows.
	// +optional
	ManifestAnnotations map[string]string `json:"manifestAnnotations,omitempty"`
	// manifestLabels are the labels of the application when this version was written.
	// +optional
	ManifestLabels map[string]string `json:"manifestLabels,omitempty"`
	// spec of this version.
	Spec ApplicationSpec `json:"spec"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ApplicationRevisionList is a list of revisions.
type ApplicationRevisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items is the list of revisions.
	Items []ApplicationRevision `json:"items"`
}
