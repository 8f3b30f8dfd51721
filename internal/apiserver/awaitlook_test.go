package apiserver

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// kstatus, and so Flux and Helm, takes an object that says nothing about Ready for healthy.
func TestNewApplicationIsNotTakenForReady(t *testing.T) {
	w := start(t)
	created := must(w.apps("team-a").Create(t.Context(), hello("hello"), metav1.CreateOptions{}))(t)
	var app v1beta1.Application
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(created.Object, &app); err != nil {
		t.Fatal(err)
	}
	ready := meta.FindStatusCondition(app.Status.Conditions, v1beta1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionUnknown {
		t.Errorf("Ready of a new application is %v", ready)
	}
}
