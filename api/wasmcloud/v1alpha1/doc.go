// Package v1alpha1 holds the kinds of k8s.wasmcloud.dev/v1alpha1: WasmCloudHostConfig, a group of wasmCloud hosts, and
// SecretGrant, which says who may read Secrets of a namespace by way of a lattice.
//
// Every field of host groups of wasmCloud's own operator (v1) is here under its JSON name, so its manifests work unchanged.
//
// +kubebuilder:object:generate=true
// +groupName=k8s.wasmcloud.dev
package v1alpha1
