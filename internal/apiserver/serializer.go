package apiserver

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// textSerializer offers JSON and YAML and nothing else. The kinds of this group have no protobuf form; were protobuf
// offered, kube-controller-manager would ask for it, each list would fail, and every namespace of the cluster would hang
// in Terminating (kubernetes#86666).
type textSerializer struct {
	runtime.NegotiatedSerializer
}

func (s textSerializer) SupportedMediaTypes() []runtime.SerializerInfo {
	var text []runtime.SerializerInfo
	for _, info := range s.NegotiatedSerializer.SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeJSON || info.MediaType == runtime.ContentTypeYAML {
			text = append(text, info)
		}
	}
	return text
}

func (s textSerializer) DecoderToVersion(d runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	return canonicalDecoder{s.NegotiatedSerializer.DecoderToVersion(d, gv)}
}

// canonicalDecoder gives the untyped parts of an application one spelling: members sorted, no blanks, numbers as Go
// writes them. They are kept as raw bytes, so without this the same manifest would differ from itself between a
// client-side apply, a server-side apply and a JSON patch, and each would look like a change.
type canonicalDecoder struct {
	runtime.Decoder
}

func (d canonicalDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, gvk, err := d.Decoder.Decode(data, defaults, into)
	app, ok := obj.(*v1beta1.Application)
	if !ok || (err != nil && !runtime.IsStrictDecodingError(err)) {
		return obj, gvk, err
	}
	if canonicalErr := canonicalise(&app.Spec); canonicalErr != nil {
		return nil, gvk, canonicalErr
	}
	return obj, gvk, err
}

func canonicalise(spec *v1beta1.ApplicationSpec) error {
	for i := range spec.Components {
		for j := range spec.Components[i].Traits {
			p := spec.Components[i].Traits[j].Properties
			if err := canonicaliseJSON(p); err != nil {
				return fmt.Errorf("spec.components[%d].traits[%d].properties: %w", i, j, err)
			}
		}
	}
	return nil
}

func canonicaliseJSON(value *apiextensionsv1.JSON) error {
	if value == nil || len(value.Raw) == 0 {
		return nil
	}
	// Into a map first: numbers at the top of an `any` would all become floats.
	wrapped := map[string]any{}
	if err := json.Unmarshal([]byte(`{"v":`+string(value.Raw)+`}`), &wrapped); err != nil {
		return err
	}
	raw, err := json.Marshal(wrapped["v"])
	if err != nil {
		return err
	}
	value.Raw = raw
	return nil
}
