package v1alpha1

import _ "embed"

//go:generate go tool -modfile=../../../hack/tools/go.mod controller-gen object:headerFile=../../../hack/boilerplate.go.txt paths=.
//go:generate sh -c "go tool -modfile=../../../hack/tools/go.mod controller-gen paths=. crd output:crd:stdout > zz_generated.crd.yaml.tmp && mv zz_generated.crd.yaml.tmp zz_generated.crd.yaml"

//go:embed zz_generated.crd.yaml
var crdYAML string

// CRDYAML returns the generated CustomResourceDefinition.
func CRDYAML() string { return crdYAML }
