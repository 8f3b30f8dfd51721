package manifest

import (
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// Content types of a put; wadm compares them as a whole.
const (
	contentJSON = "application/json"
	contentYAML = "application/yaml"
)

// DecodeWadm reads a manifest as wadm does: with the strictness of its types, by the content type of the message, and
// YAML first when there is none. Errors are texts to follow `Unable to parse manifest: `. Annotations may be absent,
// unlike in wadm.
func DecodeWadm(contentType string, data []byte) (*v1beta1.Application, error) {
	if len(data) > MaxBytes {
		return nil, errTooLarge
	}
	switch contentType {
	case contentJSON:
		return fromDocument(decodeJSON(data))
	case contentYAML:
		return fromDocument(decodeYAML(data))
	case "":
	default:
		//lint:ignore ST1005 wadm's text
		return nil, fmt.Errorf("Unsupported content type %s given. Wadm supports YAML and JSON", contentType)
	}
	app, yamlErr := fromDocument(decodeYAML(data))
	if yamlErr == nil {
		return app, nil
	}
	app, jsonErr := fromDocument(decodeJSON(data))
	if jsonErr == nil {
		return app, nil
	}
	return nil, fmt.Errorf("YAML parsing failed: %w: JSON parsing failed: %w", yamlErr, jsonErr)
}

func fromDocument(v any, err error) (*v1beta1.Application, error) {
	if err != nil {
		return nil, err
	}
	d := object(v, "Manifest", "")
	app := &v1beta1.Application{}
	app.APIVersion, app.Kind = d.str("apiVersion", required), d.str("kind", required)
	d.noMore("apiVersion", "kind", "metadata", "spec")
	if meta := d.inner("metadata"); meta != nil {
		app.Name = meta.str("name", required)
		app.Annotations, app.Labels = meta.stringMap("annotations"), meta.stringMap("labels")
		d.adopt(meta)
	}
	if spec := d.inner("spec"); spec != nil {
		app.Spec.Components = spec.components()
		app.Spec.Policies = spec.policies()
		d.adopt(spec)
	}
	if d.err != nil {
		return nil, d.err
	}
	return app, nil
}

// inner opens a required member that is an object.
func (d *dict) inner(name string) *dict {
	if !d.has(name) {
		d.fail(missing(name))
		return nil
	}
	return object(d.take(name), name, name)
}

func (d *dict) policies() []v1beta1.Policy {
	var out []v1beta1.Policy
	for i, item := range d.list("policies") {
		p := object(item, index("policies", i), index("policies", i))
		if !p.has("properties") {
			p.fail(missing("properties"))
		}
		out = append(out, v1beta1.Policy{
			Name: p.str("name", required), Type: p.str("type", required), Properties: p.stringMap("properties"),
		})
		d.adopt(p)
	}
	return out
}

func (d *dict) components() []v1beta1.Component {
	if !d.has("components") {
		d.fail(missing("components"))
	}
	out := []v1beta1.Component{}
	for i, item := range d.list("components") {
		c := object(item, index("components", i), index("components", i))
		read := v1beta1.Component{Name: c.str("name", required), Type: c.str("type", required)}
		if c.err == nil && kindOf(read.Type) == "" {
			c.fail(fmt.Errorf("unknown variant `%s`, expected `component` or `capability`", shorten(read.Type)))
		}
		if p := c.inner("properties"); p != nil {
			read.Properties = p.componentProperties()
			c.adopt(p)
		}
		if c.take("traits") != nil {
			read.Traits = c.traits()
		}
		d.adopt(c)
		out = append(out, read)
	}
	return out
}

func (d *dict) componentProperties() v1beta1.ComponentProperties {
	out := v1beta1.ComponentProperties{
		Image: d.text("image"), ID: d.text("id"), Config: d.configs("config"), Secrets: d.secrets("secrets"),
	}
	if d.take("application") != nil {
		a := object(d.take("application"), "application", "application")
		out.Application = &v1beta1.SharedComponent{Name: a.str("name", required), Component: a.str("component", required)}
		d.adopt(a)
	}
	d.noMore("image", "application", "id", "config", "secrets")
	return out
}

func (d *dict) traits() []v1beta1.Trait {
	var out []v1beta1.Trait
	for i, item := range d.list("traits") {
		t := object(item, index("traits", i), index("traits", i))
		read := v1beta1.Trait{Type: t.str("type", required)}
		if !t.has("properties") {
			t.fail(missing("properties"))
		}
		t.noMore("type", "properties")
		raw, err := json.Marshal(t.take("properties"))
		if err != nil {
			t.fail(err)
		}
		read.Properties = &apiextensionsv1.JSON{Raw: raw}
		d.adopt(t)
		out = append(out, read)
	}
	return out
}
