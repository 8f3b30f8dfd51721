package schema

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// definition is the part of a CustomResourceDefinition that is read.
type definition struct {
	Spec struct {
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Name   string `json:"name"`
			Schema struct {
				OpenAPIV3Schema node `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// resource is the schema of a kind as its CustomResourceDefinition has it.
func resource(kind string) (node, error) {
	for _, text := range v1alpha1.CRDs() {
		var crd definition
		if err := yaml.Unmarshal([]byte(text), &crd); err != nil {
			return nil, fmt.Errorf("read the CustomResourceDefinition of %s: %w", kind, err)
		}
		for _, version := range crd.Spec.Versions {
			if crd.Spec.Names.Kind == kind && version.Name == v1alpha1.SchemeGroupVersion.Version {
				schema := version.Schema.OpenAPIV3Schema
				// The definition says only `object`, because the API server knows metadata by itself.
				schema["properties"].(node)["metadata"] = node{"type": "object", "properties": node{}, "additionalProperties": true}
				return schema, nil
			}
		}
	}
	return nil, fmt.Errorf("there is no CustomResourceDefinition of %s with version %s", kind, v1alpha1.SchemeGroupVersion.Version)
}
