package apply

import (
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// covers says whether live has everything that desired says. What desired leaves open (defaults, the status, other
// people's labels) does not count; apimachinery's DeepDerivative would count numbers that were left open.
func covers(live, desired client.Object) (bool, error) {
	have, err := contentOf(live)
	if err != nil {
		return false, fmt.Errorf("encoding what is there: %w", err)
	}
	want, err := contentOf(desired)
	if err != nil {
		return false, fmt.Errorf("encoding what is wanted: %w", err)
	}
	for _, key := range []string{"apiVersion", "kind", "status", "metadata"} {
		delete(want, key)
	}
	return within(want, have) && held(desired, live) &&
		subset(desired.GetLabels(), live.GetLabels()) && subset(desired.GetAnnotations(), live.GetAnnotations()), nil
}

// held says whether the finalizers are there. One that is being deleted takes no new ones.
func held(desired, live client.Object) bool {
	if live.GetDeletionTimestamp() != nil {
		return true
	}
	for _, f := range desired.GetFinalizers() {
		if !slices.Contains(live.GetFinalizers(), f) {
			return false
		}
	}
	return true
}

// contentOf returns an object as JSON values that may be changed: those of an unstructured one are its own.
func contentOf(object client.Object) (map[string]any, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if _, free := object.(runtime.Unstructured); free && err == nil {
		content = runtime.DeepCopyJSON(content)
	}
	return content, err
}

func subset(want, have map[string]string) bool {
	for key, value := range want {
		if got, found := have[key]; !found || got != value {
			return false
		}
	}
	return true
}

// within compares JSON values. A list must have the same length: what the user removed from one must go.
func within(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, _ := have.(map[string]any)
		for key, value := range w {
			if !within(value, h[key]) {
				return false
			}
		}
		return true
	case []any:
		h, _ := have.([]any)
		if len(w) != len(h) {
			return false
		}
		for i := range w {
			if !within(w[i], h[i]) {
				return false
			}
		}
		return true
	case nil:
		return true
	}
	if have == nil {
		return reflect.ValueOf(want).IsZero()
	}
	return reflect.DeepEqual(want, have)
}
