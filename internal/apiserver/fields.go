package apiserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// The fields that `--field-selector` may name.
var (
	applicationFields = map[string]bool{
		"metadata.name": true, "metadata.namespace": true, "status.phase": true, "status.lattice": true,
	}
	revisionFields = map[string]bool{
		"metadata.name": true, "metadata.namespace": true, "application": true, "version": true,
	}
)

func applicationAttrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	app, ok := obj.(*v1beta1.Application)
	if !ok {
		return nil, nil, fmt.Errorf("%T is not an application", obj)
	}
	return app.Labels, fields.Set{
		"metadata.name": app.Name, "metadata.namespace": app.Namespace,
		"status.phase": string(app.Status.Phase), "status.lattice": app.Status.Lattice,
	}, nil
}

func revisionAttrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	rev, ok := obj.(*v1beta1.ApplicationRevision)
	if !ok {
		return nil, nil, fmt.Errorf("%T is not an application revision", obj)
	}
	return rev.Labels, fields.Set{
		"metadata.name": rev.Name, "metadata.namespace": rev.Namespace,
		"application": rev.Application, "version": rev.Version,
	}, nil
}

func sortedKeys(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}
