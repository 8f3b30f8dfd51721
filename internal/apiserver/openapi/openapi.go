// Package openapi holds the OpenAPI definitions of what the API server serves; all but this file is generated from the
// comments of the Go types.
package openapi

import (
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Model names go beside the types, into api/oam/v1beta1; the packages of apimachinery are only read.
//go:generate go tool -modfile=../../../hack/tools/go.mod openapi-gen --go-header-file ../../../hack/boilerplate.go.txt --output-dir . --output-pkg github.com/trellis-operator/trellis/internal/apiserver/openapi --output-file zz_generated.openapi.go --output-model-name-file zz_generated.model_name.go --report-filename /dev/null --readonly-pkg k8s.io/apimachinery/pkg/apis/meta/v1 --readonly-pkg k8s.io/apimachinery/pkg/runtime --readonly-pkg k8s.io/apimachinery/pkg/version github.com/trellis-operator/trellis/api/oam/v1beta1 k8s.io/apimachinery/pkg/apis/meta/v1 k8s.io/apimachinery/pkg/runtime k8s.io/apimachinery/pkg/version

const anyJSON = "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON"

// Definitions returns the definition of every type of the API, by model name.
func Definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	definitions := GetOpenAPIDefinitions(ref)
	// The only type taken from apiextensions: any JSON value. Its package is large, so it is written down here.
	definitions[anyJSON] = common.OpenAPIDefinition{Schema: spec.Schema{
		SchemaProps: spec.SchemaProps{Description: "JSON is any JSON value; its members depend on the type beside it."},
	}}
	return definitions
}
