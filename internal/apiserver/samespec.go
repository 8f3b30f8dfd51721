package apiserver

import (
	"bytes"
	"reflect"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// sameSpec compares what is stored, not what it means: `traits: []` and no traits are two specs. Only the untyped parts can
// be spelt in several ways; the typed ones are compared without encoding them, because every write asks five times.
func sameSpec(a, b *v1beta1.ApplicationSpec) bool {
	return reflect.DeepEqual(a.Policies, b.Policies) && sameItems(a.Components, b.Components, sameComponent)
}

// sameItems tells no list from an empty one, as their stored forms do.
func sameItems[T any](a, b []T, same func(a, b T) bool) bool {
	return (a == nil) == (b == nil) && slices.EqualFunc(a, b, same)
}

func sameComponent(a, b v1beta1.Component) bool {
	return a.Name == b.Name && a.Type == b.Type && reflect.DeepEqual(a.Properties, b.Properties) &&
		sameItems(a.Traits, b.Traits, sameTrait)
}

func sameTrait(a, b v1beta1.Trait) bool {
	if a.Type != b.Type || (a.Properties == nil) != (b.Properties == nil) {
		return false
	}
	return a.Properties == nil || bytes.Equal(a.Properties.Raw, b.Properties.Raw) || sameJSON(a.Properties, b.Properties)
}

// sameJSON compares two spellings by their canonical one.
func sameJSON(a, b *apiextensionsv1.JSON) bool {
	left, errLeft := canonicalTrait(a)
	right, errRight := canonicalTrait(b)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}

func canonicalTrait(properties *apiextensionsv1.JSON) ([]byte, error) {
	traits := []v1beta1.Trait{{Properties: properties}}
	return manifest.CanonicalJSON(&v1beta1.ApplicationSpec{Components: []v1beta1.Component{{Traits: traits}}})
}
