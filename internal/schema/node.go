package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// node is a JSON Schema, or a part of one.
type node = map[string]any

const refPrefix = "#/definitions/"

// definitions are schemas that refer to each other by name.
type definitions map[string]common.OpenAPIDefinition

func published(get common.GetOpenAPIDefinitions) definitions {
	return get(func(name string) spec.Ref { return spec.MustCreateRef(refPrefix + name) })
}

// inline returns the schema of a name with all that it refers to in place. No kind of ours contains itself.
func (d definitions) inline(name string) (node, error) {
	definition, ok := d[name]
	if !ok {
		return nil, fmt.Errorf("there is no OpenAPI definition %s", name)
	}
	text, err := json.Marshal(definition.Schema)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI definition %s: %w", name, err)
	}
	var schema node
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("read the OpenAPI definition %s: %w", name, err)
	}
	resolved, err := d.resolve(schema)
	if err != nil {
		return nil, err
	}
	return resolved.(node), nil
}

func (d definitions) resolve(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case []any:
		for i := range v {
			if v[i], err = d.resolve(v[i]); err != nil {
				return nil, err
			}
		}
	case node:
		ref, isRef := v["$ref"].(string)
		if !isRef {
			for key := range v {
				if v[key], err = d.resolve(v[key]); err != nil {
					return nil, err
				}
			}
			return v, nil
		}
		target, err := d.inline(strings.TrimPrefix(ref, refPrefix))
		if err != nil {
			return nil, err
		}
		delete(v, "$ref")
		maps.Copy(target, v) // the description of the field counts more than that of its type
		return target, nil
	}
	return value, nil
}

// at is the schema of a field: `a` is a property, `a[]` an item of a list.
func at(schema node, path ...string) node {
	for _, name := range path {
		name, item := strings.CutSuffix(name, "[]")
		schema = schema["properties"].(node)[name].(node)
		if item {
			schema = schema["items"].(node)
		}
	}
	return schema
}

// closeObjects turns what OpenAPI of Kubernetes says into JSON Schema: objects take no fields but theirs, fields that may
// be left out may be null, and a number or a string is one of the two.
func closeObjects(value any) {
	schema, ok := value.(node)
	if !ok {
		return
	}
	if schema["x-kubernetes-int-or-string"] == true {
		schema["type"] = []any{"integer", "string"}
	}
	open := schema["x-kubernetes-preserve-unknown-fields"] == true
	for key := range schema {
		if strings.HasPrefix(key, "x-kubernetes-") || key == "default" || key == "nullable" {
			delete(schema, key)
		}
	}
	required, _ := schema["required"].([]any)
	if properties, ok := schema["properties"].(node); ok {
		if _, said := schema["additionalProperties"]; !said && !open {
			schema["additionalProperties"] = false
		}
		for name, field := range properties {
			closeObjects(field)
			if f, isNode := field.(node); isNode && !slices.Contains(required, any(name)) {
				allowNull(f)
			}
		}
	}
	closeObjects(schema["items"])
	closeObjects(schema["additionalProperties"])
	if values, ok := schema["additionalProperties"].(node); ok {
		allowNull(values)
	}
}

func allowNull(field node) {
	if kind, ok := field["type"].(string); ok {
		field["type"] = []any{kind, "null"}
	} else if kinds, ok := field["type"].([]any); ok && !slices.Contains(kinds, any("null")) {
		field["type"] = append(slices.Clone(kinds), "null")
	}
}
