// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.oam.core.v1beta1
// +groupName=core.oam.dev

package v1beta1

//go:generate go tool -modfile=../../../hack/tools/go.mod deepcopy-gen --go-header-file ../../../hack/boilerplate.go.txt --output-file zz_generated.deepcopy.go .
