// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.oam.core.v1beta1
// +groupName=core.oam.dev

package v1beta1
