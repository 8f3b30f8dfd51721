package schema

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/kube-openapi/pkg/common"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// draft of JSON Schema that is written: the newest that every reader knows.
const draft = "http://json-schema.org/draft-07/schema#"

// Document is the schema of one kind.
type Document struct {
	Group, Version, Kind string
	// JSON ends with a line break.
	JSON []byte
}

// File is the path of a document in the layout of datree's catalogue of CRDs, which is what kubeconform is told by
// -schema-location 'DIR/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json'.
func (d Document) File() string {
	return d.Group + "/" + strings.ToLower(d.Kind) + "_" + d.Version + ".json"
}

// Documents makes the schemas of Application, ApplicationRevision, WasmCloudHostConfig and SecretGrant; definitions are
// those of the API server.
func Documents(definitions common.GetOpenAPIDefinitions) ([]Document, error) {
	defined := published(definitions)
	app, err := defined.inline(oam.Application{}.OpenAPIModelName())
	if err != nil {
		return nil, err
	}
	revision, err := defined.inline(oam.ApplicationRevision{}.OpenAPIModelName())
	if err != nil {
		return nil, err
	}
	hosts, err := resource("WasmCloudHostConfig")
	if err != nil {
		return nil, err
	}
	grants, err := resource("SecretGrant")
	if err != nil {
		return nil, err
	}
	tightenApplication(app)
	tightenSpec(at(revision, "spec"))
	var out []Document
	for _, kind := range []struct {
		name, group, version string
		schema               node
	}{
		{"Application", oam.GroupName, oam.Version, app},
		{"ApplicationRevision", oam.GroupName, oam.Version, revision},
		{"WasmCloudHostConfig", v1alpha1.SchemeGroupVersion.Group, v1alpha1.SchemeGroupVersion.Version, hosts},
		{"SecretGrant", v1alpha1.SchemeGroupVersion.Group, v1alpha1.SchemeGroupVersion.Version, grants},
	} {
		complete(kind.schema, kind.group+"/"+kind.version, kind.name)
		text, err := json.MarshalIndent(kind.schema, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("write the schema of %s: %w", kind.name, err)
		}
		out = append(out, Document{Group: kind.group, Version: kind.version, Kind: kind.name, JSON: append(text, '\n')})
	}
	return out, nil
}

// complete closes a schema: no other kind, no field that is not listed, and null where a field may be left out.
func complete(schema node, apiVersion, kind string) {
	metadata := at(schema, "metadata")
	metadata["anyOf"] = []any{node{"required": []any{"name"}}, node{"required": []any{"generateName"}}}
	closeObjects(schema)
	schema["$schema"] = draft
	schema["title"] = kind
	properties := schema["properties"].(node)
	properties["apiVersion"] = node{"type": "string", "const": apiVersion}
	properties["kind"] = node{"type": "string", "const": kind}
	schema["required"] = []any{"apiVersion", "kind", "metadata", "spec"}
}
