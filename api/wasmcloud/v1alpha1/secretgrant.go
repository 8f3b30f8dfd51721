package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// SecretsKey as a label or annotation on a Secret with the value SecretsDeny keeps it from every lattice, whatever else
	// would allow it.
	SecretsKey = "k8s.wasmcloud.dev/secrets"
	// SecretsDeny is the only value of SecretsKey.
	SecretsDeny = "deny"
	// GrantAll in a list of a SecretGrant stands for every name.
	GrantAll = "*"
)

// SecretGrant lets applications of other namespaces read Secrets of its own namespace by way of wasmCloud's secrets.
//
// Nothing is implicit: who is not listed has nothing, and a list that should let all in says `*`.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=sg,singular=secretgrant,path=secretgrants
// +kubebuilder:printcolumn:name="Secrets",type=string,JSONPath=`.spec.secrets[*].name`
// +kubebuilder:printcolumn:name="Namespaces",type=string,JSONPath=`.spec.from[*].namespaces[*]`
// +kubebuilder:printcolumn:name="Applications",type=string,JSONPath=`.spec.from[*].applications[*]`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SecretGrant struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The namespace is that of the Secrets.
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says who may read what.
	Spec SecretGrantSpec `json:"spec"`
}

// SecretGrantSpec says who may read what: each of from each of secrets.
type SecretGrantSpec struct {
	// from lists who may read. Empty: nobody.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	From []SecretGrantFrom `json:"from"`
	// secrets lists what may be read. Empty: nothing.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Secrets []GrantedSecret `json:"secrets"`
	// unauthenticated lets in hosts too whose group is not known, because they do not ask under the prefix of a host group, or
	// because NATS does not hold groups to their own. Whoever may publish in the lattice can then ask in the name of any
	// application. Default: false.
	// +optional
	Unauthenticated bool `json:"unauthenticated,omitempty"`
}

// SecretGrantFrom is who may read: whoever is in all four lists. `*` alone in a list stands for every name.
type SecretGrantFrom struct {
	// namespaces of applications.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.all(n, n == '*' || n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))",message="each of namespaces is the name of a namespace, or * for all; patterns are not understood"
	// +kubebuilder:validation:XValidation:rule="size(self) == 1 || !('*' in self)",message="namespaces has * beside names; remove the names, or *"
	Namespaces []string `json:"namespaces"`
	// lattices that the hosts are in.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.all(n, n == '*' || n.matches('^[-_a-zA-Z0-9]+$'))",message="each of lattices is the name of a lattice, or * for all; patterns are not understood"
	// +kubebuilder:validation:XValidation:rule="size(self) == 1 || !('*' in self)",message="lattices has * beside names; remove the names, or *"
	Lattices []string `json:"lattices"`
	// applications by name.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.all(n, n == '*' || n.matches('^[-_a-zA-Z0-9]+$'))",message="each of applications is the name of an application, or * for all; patterns are not understood"
	// +kubebuilder:validation:XValidation:rule="size(self) == 1 || !('*' in self)",message="applications has * beside names; remove the names, or *"
	Applications []string `json:"applications"`
	// components and capability providers by the names that they have in the manifest.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) == 1 || !('*' in self)",message="components has * beside names; remove the names, or *"
	Components []string `json:"components"`
}

// GrantedSecret is a Secret that may be read.
type GrantedSecret struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')",message="name is the name of one Secret; * and patterns are not understood, list each Secret"
	Name string `json:"name"`
	// keys within the Secret. Absent: all of them.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[-._a-zA-Z0-9]+$'))",message="each of keys is a key of the Secret; * and patterns are not understood, leave keys out for all"
	// +optional
	Keys []string `json:"keys,omitempty"`
}

// SecretGrantList is a list of grants.
//
// +kubebuilder:object:root=true
type SecretGrantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	// items is the list of grants.
	Items []SecretGrant `json:"items"`
}
