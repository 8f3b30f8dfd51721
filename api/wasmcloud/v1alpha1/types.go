package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WasmCloudHostConfig is a group of wasmCloud hosts: pods, each with a host and a NATS leaf beside it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=whc,singular=wasmcloudhostconfig,path=wasmcloudhostconfigs
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.hostReplicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Lattice",type=string,JSONPath=`.spec.lattice`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.ready`,description="Ready hosts of those wanted."
// +kubebuilder:printcolumn:name="Hosts",type=integer,JSONPath=`.status.hostCount`,description="Hosts of this group that the lattice shows."
// +kubebuilder:printcolumn:name="Apps",type=integer,JSONPath=`.status.app_count`,description="Applications of the lattice."
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Status",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
type WasmCloudHostConfig struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. Pods, Deployment or DaemonSet and ConfigMap get the same name.
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says which lattice the hosts join and how their pods look.
	Spec WasmCloudHostConfigSpec `json:"spec"`
	// status is what was observed; written by Trellis only.
	// +optional
	Status WasmCloudHostConfigStatus `json:"status,omitempty"`
}

// WasmCloudHostConfigList is a list of host groups.
//
// +kubebuilder:object:root=true
type WasmCloudHostConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items is the list of host groups.
	Items []WasmCloudHostConfig `json:"items"`
}
