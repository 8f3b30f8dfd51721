package apiserver

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
	"unsafe"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

const shared = `{"metadata":{"name":"hello","namespace":"default","uid":"u","resourceVersion":"7","annotations":{"a":"b"},
"managedFields":[{"manager":"kubectl","operation":"Apply","fieldsV1":{"f:spec":{}},"time":"2026-01-02T03:04:05Z"}]},
"spec":{"components":[{"name":"c","type":"component","properties":{"image":"i","config":[{"name":"n","properties":{}}]},
"traits":[{"type":"spreadscaler","properties":{"instances":1}}]}],"policies":[]},
"status":{"conditions":[{"type":"Ready","status":"True","reason":"Fine","message":"All is there.","lastTransitionTime":"2026-01-02T03:04:05Z"},
{"type":"Exposed","status":"True","reason":"Exposed","message":"It is.","lastTransitionTime":"2026-01-02T03:04:05Z"}],
"components":[{"name":"c","id":"hello-c","kind":"component","desired":1,"running":1,"hostCount":0}]}}`

func decoded(t *testing.T) *v1beta1.Application {
	t.Helper()
	app := &v1beta1.Application{}
	if err := json.Unmarshal([]byte(shared), app); err != nil {
		t.Fatal(err)
	}
	return app
}

func TestShare(t *testing.T) {
	for name, change := range map[string]func(*v1beta1.Application){
		"nothing":     func(*v1beta1.Application) {},
		"a condition": func(a *v1beta1.Application) { a.Status.Conditions[1].Status = metav1.ConditionFalse },
		"a condition more": func(a *v1beta1.Application) {
			a.Status.Conditions = append(a.Status.Conditions, metav1.Condition{Type: "Routed"})
		},
		"a condition less":    func(a *v1beta1.Application) { a.Status.Conditions = a.Status.Conditions[:1] },
		"a time":              func(a *v1beta1.Application) { a.Status.Conditions[0].LastTransitionTime = metav1.Unix(1, 0) },
		"the time of a field": func(a *v1beta1.Application) { a.ManagedFields[0].Time = &metav1.Time{Time: time.Unix(1, 0)} },
		"fields":              func(a *v1beta1.Application) { a.ManagedFields[0].FieldsV1 = metav1.NewFieldsV1(`{"f:status":{}}`) },
		"no managed fields":   func(a *v1beta1.Application) { a.ManagedFields = nil },
		"an annotation":       func(a *v1beta1.Application) { a.Annotations["a"] = "c" },
		"no annotations":      func(a *v1beta1.Application) { a.Annotations = nil },
		"an image":            func(a *v1beta1.Application) { a.Spec.Components[0].Properties.Image = "j" },
		"a trait": func(a *v1beta1.Application) {
			a.Spec.Components[0].Traits[0].Properties.Raw = []byte(`{"instances":2}`)
		},
		"no policies":          func(a *v1beta1.Application) { a.Spec.Policies = nil },
		"absent and empty map": func(a *v1beta1.Application) { a.Spec.Components[0].Properties.Config[0].Properties = nil },
		"an absent pointer":    func(a *v1beta1.Application) { a.Spec.Components[0].Traits[0].Properties = nil },
		"a number":             func(a *v1beta1.Application) { a.Status.Components[0].Running = 0 },
		"a version":            func(a *v1beta1.Application) { a.ResourceVersion = "8" },
	} {
		t.Run(name, func(t *testing.T) {
			before, now, want := decoded(t), decoded(t), decoded(t)
			change(now)
			change(want)
			same := share(reflect.ValueOf(before).Elem(), reflect.ValueOf(now).Elem())
			if !reflect.DeepEqual(now, want) {
				t.Errorf("shared = %+v, want %+v", now, want)
			}
			if !reflect.DeepEqual(before, decoded(t)) {
				t.Error("the version before was changed")
			}
			if equal := reflect.DeepEqual(before, want); same != equal {
				t.Errorf("same = %v, want %v", same, equal)
			}
		})
	}
}

// TestCompact: nothing changes but where it lies in memory; texts that two applications have lie there once.
func TestCompact(t *testing.T) {
	storage := newSharing(nil)
	first, second := decoded(t), decoded(t)
	first.ManagedFields[0].FieldsV1 = metav1.NewFieldsV1(`{"f:other":{}}`)
	for _, app := range []*v1beta1.Application{first, second} {
		want := app.DeepCopy()
		storage.compact(reflect.ValueOf(app).Elem())
		if !reflect.DeepEqual(app, want) {
			t.Errorf("compacted = %+v, want %+v", app, want)
		}
		if c := app.Status.Conditions; cap(c) != len(c) {
			t.Errorf("%d conditions take the room of %d", len(c), cap(c))
		}
	}
	a, b := first.Status.Conditions[0].Message, second.Status.Conditions[0].Message
	if unsafe.StringData(a) != unsafe.StringData(b) {
		t.Error("a message lies in memory twice")
	}
	if x, y := first.Spec.Components[0].Traits[0].Properties.Raw, second.Spec.Components[0].Traits[0].Properties.Raw; &x[0] != &y[0] {
		t.Error("properties lie in memory twice")
	}
}

// TestShare_Memory: of a version that differs in a condition, only the conditions are new.
func TestShare_Memory(t *testing.T) {
	before, now := decoded(t), decoded(t)
	now.ResourceVersion, now.Status.Conditions[1].Message = "8", "It is not."
	share(reflect.ValueOf(before).Elem(), reflect.ValueOf(now).Elem())
	for name, shared := range map[string]bool{
		"spec":           &now.Spec.Components[0] == &before.Spec.Components[0],
		"components":     &now.Status.Components[0] == &before.Status.Components[0],
		"managed fields": &now.ManagedFields[0] == &before.ManagedFields[0],
		"annotations":    reflect.ValueOf(now.Annotations).UnsafePointer() == reflect.ValueOf(before.Annotations).UnsafePointer(),
	} {
		if !shared {
			t.Errorf("%s: not shared", name)
		}
	}
	if &now.Status.Conditions[0] == &before.Status.Conditions[0] {
		t.Error("conditions that differ are shared")
	}
}
