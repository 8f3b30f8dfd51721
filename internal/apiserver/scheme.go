package apiserver

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// newScheme returns the scheme of the server: the group, twice (see AddInternalToScheme), and what every API needs.
func newScheme() (*runtime.Scheme, error) {
	scheme, err := newServedScheme()
	if err != nil {
		return nil, err
	}
	if err := v1beta1.AddInternalToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register core.oam.dev: %w", err)
	}
	for kind, known := range map[string]map[string]bool{
		"Application": applicationFields, "ApplicationRevision": revisionFields,
	} {
		if err := scheme.AddFieldLabelConversionFunc(v1beta1.SchemeGroupVersion.WithKind(kind), selectable(kind, known)); err != nil {
			return nil, fmt.Errorf("register the field selectors of %s: %w", kind, err)
		}
	}
	return scheme, nil
}

// newServedScheme is the scheme without the second registration: what clients and OpenAPI know.
func newServedScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := v1beta1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register core.oam.dev: %w", err)
	}
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, v1)
	scheme.AddUnversionedTypes(v1, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{},
		&metav1.APIResourceList{})
	return scheme, nil
}

// selectable accepts the field selectors of a kind and refuses others with a sentence that lists them.
func selectable(kind string, known map[string]bool) runtime.FieldLabelConversionFunc {
	return func(label, value string) (string, string, error) {
		if known[label] {
			return label, value, nil
		}
		return "", "", fmt.Errorf("%q is not a field selector of %s; there are %s", label, kind, sortedKeys(known))
	}
}
