package schema

import (
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// hostConfig is the schema of WasmCloudHostConfig as its CustomResourceDefinition has it.
func hostConfig() (node, error) {
	var crd struct {
		Spec struct {
			Versions []struct {
				Name   string `json:"name"`
				Schema struct {
					OpenAPIV3Schema node `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(v1alpha1.CRDYAML()), &crd); err != nil {
		return nil, fmt.Errorf("read the CustomResourceDefinition of WasmCloudHostConfig: %w", err)
	}
	for _, version := range crd.Spec.Versions {
		if version.Name == v1alpha1.SchemeGroupVersion.Version {
			schema := version.Schema.OpenAPIV3Schema
			// The definition says only `object`, because the API server knows metadata by itself.
			schema["properties"].(node)["metadata"] = node{"type": "object", "properties": node{}, "additionalProperties": true}
			return schema, nil
		}
	}
	return nil, errors.New("the CustomResourceDefinition of WasmCloudHostConfig has no version " + v1alpha1.SchemeGroupVersion.Version)
}
