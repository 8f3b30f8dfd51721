package v1alpha1

import (
	_ "embed"
	"strings"
)

//go:generate go tool -modfile=../../../hack/tools/go.mod controller-gen object:headerFile=../../../hack/boilerplate.go.txt paths=.
//go:generate sh -c "go tool -modfile=../../../hack/tools/go.mod controller-gen paths=. crd output:crd:stdout > zz_generated.crd.yaml.tmp && mv zz_generated.crd.yaml.tmp zz_generated.crd.yaml"

//go:embed zz_generated.crd.yaml
var crdYAML string

// CRDs returns the generated CustomResourceDefinitions, each as a text of YAML, sorted by name.
func CRDs() []string {
	return strings.Split(strings.TrimPrefix(crdYAML, "---\n"), "\n---\n")
}
