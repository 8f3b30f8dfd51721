package wadmapi

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// document is a manifest as wadm's strict readers take it: annotations with the version are always there, status and
// Kubernetes' metadata never.
type document struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       spec     `json:"spec"`
}

type metadata struct {
	Name        string            `json:"name"`
	Annotations map[string]string `json:"annotations"`
	Labels      map[string]string `json:"labels,omitempty"`
}

type spec struct {
	Components []oam.Component `json:"components"`
	Policies   []policy        `json:"policies,omitempty"`
}

// policy writes properties also when there are none: readers demand them.
type policy struct {
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Properties map[string]string `json:"properties"`
}

// newDocument is the manifest of one version of an application.
func newDocument(r *oam.ApplicationRevision) *document {
	annotations := manifestPart(r.ManifestAnnotations)
	annotations[oam.VersionAnnotation] = r.Version
	d := &document{
		APIVersion: oam.GroupName + "/" + oam.Version, Kind: "Application",
		Metadata: metadata{Name: r.Application, Annotations: annotations, Labels: manifestPart(r.ManifestLabels)},
		Spec:     spec{Components: []oam.Component{}},
	}
	for i := range r.Spec.Components {
		c := r.Spec.Components[i].DeepCopy()
		for j := range c.Traits {
			if c.Traits[j].Properties == nil {
				c.Traits[j].Properties = &apiextensionsv1.JSON{Raw: []byte("{}")}
			}
		}
		d.Spec.Components = append(d.Spec.Components, *c)
	}
	for _, p := range r.Spec.Policies {
		out := policy{Name: p.Name, Type: p.Type, Properties: p.Properties}
		if out.Properties == nil {
			out.Properties = map[string]string{}
		}
		d.Spec.Policies = append(d.Spec.Policies, out)
	}
	return d
}
