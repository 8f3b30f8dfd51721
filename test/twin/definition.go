// Package twin is a CustomResourceDefinition with the schema of applications: what Kubernetes itself makes of such a kind,
// for tests and measurements that compare.
package twin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/kube-openapi/pkg/validation/spec"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/apiserver/openapi"
)

const (
	// Group is the group of the definition.
	Group = "peer.example.com"
	// Resource is what both groups call their objects.
	Resource = "applications"
	kind     = "Application"
)

// Define makes the definition.
func Define(ctx context.Context, config *rest.Config) error {
	properties, err := schema()
	if err != nil {
		return err
	}
	client, err := apiextensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for definitions: %w", err)
	}
	definition := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: Resource + "." + Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: Resource, Singular: "application", Kind: kind, ListKind: kind + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: oam.Version, Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: properties},
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			}},
		},
	}
	if _, err := client.ApiextensionsV1().CustomResourceDefinitions().Create(ctx, definition, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make the CustomResourceDefinition of the twin: %w", err)
	}
	return nil
}

// schema is the published schema of applications, as a definition wants it.
func schema() (*apiextensionsv1.JSONSchemaProps, error) {
	tree, err := inline(oam.Application{}.OpenAPIModelName())
	if err != nil {
		return nil, err
	}
	properties, ok := tree["properties"].(map[string]any)
	if !ok {
		return nil, errors.New("the published schema of applications has no properties")
	}
	properties["metadata"] = map[string]any{"type": "object"}
	text, err := json.Marshal(structural(tree))
	if err != nil {
		return nil, fmt.Errorf("write the schema of the twin: %w", err)
	}
	var published apiextensionsv1.JSONSchemaProps
	if err := json.Unmarshal(text, &published); err != nil {
		return nil, fmt.Errorf("read the schema of the twin: %w", err)
	}
	return &published, nil
}

const refPrefix = "#/definitions/"

// inline is the schema of a name with everything that it refers to in place; no kind contains itself.
func inline(name string) (map[string]any, error) {
	definitions := openapi.Definitions(func(name string) spec.Ref { return spec.MustCreateRef(refPrefix + name) })
	definition, ok := definitions[name]
	if !ok {
		return nil, fmt.Errorf("there is no OpenAPI definition %s", name)
	}
	text, err := json.Marshal(definition.Schema)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI definition %s: %w", name, err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("read the OpenAPI definition %s: %w", name, err)
	}
	return resolve(tree)
}

func resolve(tree map[string]any) (map[string]any, error) {
	if ref, ok := tree["$ref"].(string); ok {
		return inline(strings.TrimPrefix(ref, refPrefix))
	}
	for key, value := range tree {
		branch, ok := value.(map[string]any)
		if !ok {
			continue
		}
		resolved, err := resolve(branch)
		if err != nil {
			return nil, err
		}
		tree[key] = resolved
	}
	// Descriptions beside a reference stand in allOf of one.
	if all, ok := tree["allOf"].([]any); ok && len(all) == 1 {
		return resolve(all[0].(map[string]any))
	}
	return tree, nil
}

// structural leaves out what a definition may not say, and keeps what has no type as it is written.
func structural(tree map[string]any) map[string]any {
	delete(tree, "default")
	if properties, ok := tree["properties"].(map[string]any); ok {
		for _, property := range properties {
			structural(property.(map[string]any))
		}
	}
	for _, part := range []string{"items", "additionalProperties"} {
		if branch, ok := tree[part].(map[string]any); ok {
			structural(branch)
		}
	}
	if _, typed := tree["type"]; !typed {
		tree["x-kubernetes-preserve-unknown-fields"] = true
	}
	return tree
}
