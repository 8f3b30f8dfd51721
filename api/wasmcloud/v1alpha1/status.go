package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxHosts and MaxApps bound the lists of the status; totals stand beside them.
const (
	MaxHosts = 50
	MaxApps  = 100
)

// WasmCloudHostConfigStatus is what was observed of a host group. It holds no ages and no counters that move by
// themselves.
type WasmCloudHostConfigStatus struct {
	// observedGeneration is the metadata.generation that conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions: Ready summarises Valid, Credentials, Workload and Hosts; Reconciling and Stalled say whether waiting
	// helps; TemplateOutdated tells of pods that wasmCloud's operator made.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ready shows ready hosts of those wanted, such as 2/3.
	// +optional
	Ready string `json:"ready,omitempty"`
	// replicas is the number of pods.
	// +optional
	Replicas int32 `json:"replicas"`
	// readyReplicas is the number of ready pods.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`
	// selector finds the pods of the group, for autoscalers.
	// +optional
	Selector string `json:"selector,omitempty"`
	// hosts of this group that the lattice shows, 50 at most.
	// +listType=atomic
	// +optional
	Hosts []HostStatus `json:"hosts,omitempty"`
	// hostCount is the number of all hosts of this group that the lattice shows.
	// +optional
	HostCount int32 `json:"hostCount"`
	// otherHostCount is the number of hosts of the lattice that do not belong to this group.
	// +optional
	OtherHostCount int32 `json:"otherHostCount,omitempty"`
	// apps are the applications of the lattice with their newest version, 100 at most.
	// +listType=atomic
	// +optional
	Apps []AppStatus `json:"apps"`
	// app_count is the number of all applications of the lattice.
	// +kubebuilder:validation:Minimum=0
	// +optional
	AppCount int32 `json:"app_count"`
}

// HostStatus is one host of the group.
type HostStatus struct {
	// id is the public key of the host.
	ID string `json:"id"`
	// name is the friendly name of the host.
	// +optional
	Name string `json:"name,omitempty"`
	// pod that the host runs in.
	// +optional
	Pod string `json:"pod,omitempty"`
	// node that the pod runs on.
	// +optional
	Node string `json:"node,omitempty"`
	// version of the host.
	// +optional
	Version string `json:"version,omitempty"`
	// ready says whether the pod of the host is ready; where the host names no pod, whether it answers.
	Ready bool `json:"ready"`
	// startedAt is when the host started.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// components is the number of components on the host.
	Components int32 `json:"components"`
	// providers is the number of capability providers on the host.
	Providers int32 `json:"providers"`
}

// AppStatus is one application of the lattice.
type AppStatus struct {
	// name of the application.
	Name string `json:"name"`
	// version is the newest stored version, deployed or not.
	Version string `json:"version"`
}
