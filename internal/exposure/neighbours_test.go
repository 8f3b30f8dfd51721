package exposure

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// A route that names another application without a port leads to the first port of that one's Service, follows when it
// changes, and leads to the own number as long as there is none.
func TestRoutes_PortOfAnotherApplication(t *testing.T) {
	w := newWorld(t)
	w.served["HTTPRoute"] = "v1"
	w.setPolicy(map[string]string{"routes": "[{kind: HTTPRoute, parentRefs: [{name: gw}], rules: [{backendRefs: [{application: other}, {application: other, port: 7}, {}]}]}]"})
	ports := func() (out []int64) {
		rules, _, _ := unstructured.NestedSlice(w.object("v1", "HTTPRoute", "hello-world").Object, "spec", "rules")
		for _, ref := range rules[0].(map[string]any)["backendRefs"].([]any) {
			out = append(out, ref.(map[string]any)["port"].(int64))
		}
		return out
	}
	expect := func(when string, want ...int64) {
		t.Helper()
		w.reconcile()
		if diff := cmp.Diff(want, ports()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		w.atRest()
	}
	expect("without a Service", 8080, 7, 8080)
	other := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "other", Annotations: map[string]string{ApplicationLabel: "other"},
		Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9090}, {Port: 9}}}}
	if err := w.client.Create(context.Background(), other); err != nil {
		t.Fatal(err)
	}
	expect("with one", 9090, 7, 8080)
	other.Spec.Ports[0].Port = 9091
	if err := w.client.Update(context.Background(), other); err != nil {
		t.Fatal(err)
	}
	concerned := w.r.concernedBy(context.Background(), client.Object(other))
	if len(concerned) != 2 || concerned[1].NamespacedName != hello {
		t.Errorf("an event of the Service concerns %v; want its own application and the one whose route names it", concerned)
	}
	expect("with another number", 9091, 7, 8080)
	w.setPolicy(map[string]string{})
	w.reconcile()
	if concerned := w.r.concernedBy(context.Background(), other); len(concerned) != 1 {
		t.Errorf("without the route it concerns %v", concerned)
	}
}
