package cli

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/exposure"
)

// TestAlike: exposure looks again when something changed that it looks at, less urgently when only what it reports did, and
// not at all for what others say in the status.
func TestAlike(t *testing.T) {
	app := func() *oam.Application {
		return &oam.Application{
			ObjectMeta: metav1.ObjectMeta{Name: "hello", UID: "u", Generation: 1, Annotations: map[string]string{"a": "b"}},
			Spec: oam.ApplicationSpec{Components: []oam.Component{{Name: "c", Traits: []oam.Trait{
				{Type: "link", Properties: &apiextensionsv1.JSON{Raw: []byte(`{}`)}}}}}},
			Status: oam.ApplicationStatus{Lattice: "default", Version: "v1", Endpoint: "hello:80", Conditions: []metav1.Condition{
				{Type: oam.ConditionDeployed, Reason: "Deployed"}, {Type: exposure.ConditionExposed, Reason: "Exposed"}}},
		}
	}
	for name, test := range map[string]struct {
		change      func(*oam.Application)
		looks, says bool
	}{
		"nothing":           {func(*oam.Application) {}, true, true},
		"another object":    {func(a *oam.Application) { a.UID = "v" }, false, true},
		"a generation":      {func(a *oam.Application) { a.Generation = 2 }, false, true},
		"an annotation":     {func(a *oam.Application) { a.Annotations["a"] = "c" }, false, true},
		"a restored spec":   {func(a *oam.Application) { a.Spec.Components[0].Traits[0].Properties.Raw = []byte(`{"a":1}`) }, false, true},
		"another lattice":   {func(a *oam.Application) { a.Status.Lattice = "other" }, false, true},
		"another version":   {func(a *oam.Application) { a.Status.Version = "v2" }, false, true},
		"what runs":         {func(a *oam.Application) { a.Status.Conditions[0].Reason = "Progressing" }, true, true},
		"what is exposed":   {func(a *oam.Application) { a.Status.Conditions[1].Reason = "NoEndpoints" }, true, false},
		"no condition":      {func(a *oam.Application) { a.Status.Conditions = a.Status.Conditions[:1] }, true, false},
		"an endpoint":       {func(a *oam.Application) { a.Status.Endpoint = "" }, true, false},
		"what users set":    {func(a *oam.Application) { a.Status.Service = &oam.ServiceSettings{Type: "NodePort"} }, true, false},
		"what is routed":    {func(a *oam.Application) { a.Status.Conditions[0].Type = exposure.ConditionRouted }, true, false},
		"other components":  {func(a *oam.Application) { a.Status.Components = []oam.ComponentStatus{{Name: "c"}} }, true, true},
		"only its revision": {func(a *oam.Application) { a.ResourceVersion = "2" }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			before, now := app(), app()
			test.change(now)
			if looks, says := looksAlike(before, now), saysAlike(&before.Status, &now.Status); looks != test.looks || says != test.says {
				t.Errorf("looks alike: %v, says alike: %v; want %v, %v", looks, says, test.looks, test.says)
			}
		})
	}
}
