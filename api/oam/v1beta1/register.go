package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is the group and version of the kinds in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: Version}

// Resource qualifies a resource name with the group, for errors and selectors.
func Resource(name string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(name).GroupResource()
}

// AddToScheme adds the kinds of the group to a scheme, for clients and for the server.
func AddToScheme(scheme *runtime.Scheme) error {
	addKinds(scheme, SchemeGroupVersion)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}

// AddInternalToScheme adds the same Go types once more as the version that k8s.io/apiserver calls internal. The served
// version is the only one there is, so the types are their own hub and no conversion function is needed: the scheme
// finds the target kind among those of the type and only sets the kind. It must follow AddToScheme, because the first
// kind of a type is the one that a body without apiVersion gets.
func AddInternalToScheme(scheme *runtime.Scheme) error {
	addKinds(scheme, schema.GroupVersion{Group: GroupName, Version: runtime.APIVersionInternal})
	return nil
}

func addKinds(scheme *runtime.Scheme, gv schema.GroupVersion) {
	scheme.AddKnownTypes(gv,
		&Application{}, &ApplicationList{},
		&ApplicationRevision{}, &ApplicationRevisionList{},
	)
}
