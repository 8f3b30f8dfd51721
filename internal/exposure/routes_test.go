package exposure

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

const shopRoute = `
- kind: HTTPRoute
  parentRefs: [{name: public, namespace: gateways}]
  hostnames: [shop.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v2}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-By, value: trellis}]}}]
    backendRefs: [{weight: 90}, {application: My_Other, weight: 10}]
  - matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example.com}}]
  - backendRefs: [{name: legacy, namespace: other, port: 80}]
`

const (
	plainRoute  = "[{kind: HTTPRoute, parentRefs: [{name: public, namespace: gateways}]}]"
	plainOthers = `[{kind: TCPRoute, parentRefs: [{name: gw}]}, {kind: GRPCRoute, parentRefs: [{name: gw}]}, {kind: TLSRoute, name: tls, parentRefs: [{name: gw}], hostnames: [a.example.com]}]`
)

func (w *world) object(version, kind, name string) *unstructured.Unstructured {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: gatewayGroup, Version: version, Kind: kind})
	err := w.client.Get(context.Background(), types.NamespacedName{Namespace: "default", Name: name}, u)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// answers writes what the controller of a Gateway says of a route.
func (w *world) answer(status string) {
	w.t.Helper()
	route := w.object("v1", "HTTPRoute", "hello-world")
	var content map[string]any
	if err := yaml.Unmarshal([]byte(status), &content); err != nil {
		w.t.Fatal(err)
	}
	route.Object["status"] = content
	if err := w.client.Update(context.Background(), route); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) routed(want string, words ...string) {
	w.t.Helper()
	got, message := "none", ""
	if c := w.app.Routed; c != nil {
		got, message = string(c.Status)+"/"+c.Reason, c.Message
	}
	if got != want {
		w.t.Errorf("routed = %s (%s), want %s", got, message, want)
	}
	demand(w.t, message, words...)
}

func taken(accepted, resolved string) string {
	return `parents: [{parentRef: {group: gateway.networking.k8s.io, kind: Gateway, name: public, namespace: gateways}, controllerName: example.com/gw,
	 conditions: [{type: Accepted, ` + accepted + `}, {type: ResolvedRefs, ` + resolved + `}]}]`
}

const yes = `status: "True", reason: Accepted, message: ok, lastTransitionTime: "2026-01-01T00:00:00Z"`

func TestRoutes_Golden(t *testing.T) {
	w := newWorld(t)
	w.served["HTTPRoute"], w.served["GRPCRoute"], w.served["TCPRoute"], w.served["TLSRoute"] = "v1", "v1", "v1alpha2", "v1alpha3"
	w.setPolicy(map[string]string{"component": "httpserver", "ports": "[{port: 80, targetPort: 8080}]", "routes": shopRoute})
	w.reconcile()
	raw, err := yaml.Marshal(w.object("v1", "HTTPRoute", "hello-world").Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/route.golden.yaml", raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/route.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(raw)); diff != "" {
		t.Errorf("route (-want +got; -update rewrites):\n%s", diff)
	}
	w.atRest()

	w.setPolicy(map[string]string{"routes": plainOthers})
	w.reconcile()
	if w.object("v1", "HTTPRoute", "hello-world") != nil {
		t.Error("the route that no policy asks for is still there")
	}
	for kind, at := range map[string][2]string{"TCPRoute": {"v1alpha2", "hello-world"}, "GRPCRoute": {"v1", "hello-world"}, "TLSRoute": {"v1alpha3", "hello-world-tls"}} {
		route := w.object(at[0], kind, at[1])
		if route == nil {
			t.Errorf("%s is missing", kind)
			continue
		}
		if o := route.GetOwnerReferences(); len(o) != 1 || o[0].Kind != "Service" || o[0].Name != "hello-world" || route.GetLabels()[ApplicationUIDLabel] != "app-uid" {
			t.Errorf("%s belongs to %v, labels %v", kind, o, route.GetLabels())
		}
	}
	w.setPolicy(map[string]string{})
	w.reconcile()
	if w.object("v1", "GRPCRoute", "hello-world") != nil {
		t.Error("a route is left")
	}
	w.routed("none")
	w.atRest()
}

// What Gateways say of a route is read back.
func TestRoutes_Status(t *testing.T) {
	w := newWorld(t)
	w.served["HTTPRoute"] = "v1"
	w.setPolicy(map[string]string{"routes": plainRoute})
	if again := w.reconcile().RequeueAfter; again != lookAgain {
		t.Errorf("looks again after %v", again)
	}
	w.routed("False/Pending", "HTTPRoute hello-world", "Gateway gateways/public")
	if got := applicationOf(context.Background(), w.object("v1", "HTTPRoute", "hello-world")); len(got) != 1 || got[0].NamespacedName != hello {
		t.Errorf("an event of the route leads to %v", got)
	}
	no := func(reason, message string) string {
		return `status: "False", reason: ` + reason + `, message: "` + message + `", lastTransitionTime: "2026-01-01T00:00:00Z"`
	}
	for _, c := range []struct{ accepted, resolved, want, says string }{
		{no("NotAllowedByListeners", "no listener takes it"), yes, "False/NotAccepted", "no listener takes it"},
		{yes, no("BackendNotFound", "no such Service"), "False/BackendUnresolved", "no such Service"},
		{yes, no("RefNotPermitted", "other/legacy"), "False/RefNotPermitted", "make a ReferenceGrant"},
		{yes + ", observedGeneration: 0", yes, "True/Routed", "accepted by Gateway gateways/public"},
	} {
		w.answer(taken(c.accepted, c.resolved))
		w.reconcile()
		w.routed(c.want, c.says)
	}
	if again := w.reconcile().RequeueAfter; again != 0 {
		t.Errorf("well, and looks again after %v", again)
	}
	w.atRest()
	w.expect(bothPods, "True/Exposed") // the Service does not depend on it
}

// A backend of another namespace needs a grant of that namespace, and it is said whatever the Gateway says.
func TestRoutes_ReferenceGrant(t *testing.T) {
	w := newWorld(t)
	w.served["HTTPRoute"], w.served["ReferenceGrant"] = "v1", "v1beta1"
	w.setPolicy(map[string]string{"routes": shopRoute})
	w.reconcile()
	w.answer(taken(yes, yes))
	w.reconcile()
	w.routed("False/RefNotPermitted", "namespace other has no ReferenceGrant", "kind HTTPRoute in namespace default use Service legacy")
	grant := func(name, from, to string) {
		t.Helper()
		u := &unstructured.Unstructured{}
		text := "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: " + name + ", namespace: other}, spec: {from: [" + from + "], to: [" + to + "]}}"
		if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
			t.Fatal(err)
		}
		if err := w.client.Create(context.Background(), u); err != nil {
			t.Fatal(err)
		}
		w.reconcile()
	}
	const us = "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}"
	grant("a", "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}", "{group: '', kind: Service}")
	grant("b", "{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: default}", "{group: '', kind: Service}")
	grant("c", us, "{group: '', kind: Secret}, {group: '', kind: Service, name: another}")
	w.routed("False/RefNotPermitted")
	grant("d", us, "{group: '', kind: Service, name: legacy}")
	w.routed("True/Routed")
}

// The Gateway API may be absent, and come later.
func TestRoutes_TheGatewayAPIComesLater(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(map[string]string{"routes": plainRoute})
	w.reconcile()
	w.expect(bothPods, "True/Exposed")
	w.routed("False/GatewayAPIMissing", "install the Gateway API")
	w.atRest()
	w.served["HTTPRoute"] = "v1"
	w.r.routes.kinds.forget() // as the event of its definition does
	w.reconcile()
	w.routed("False/Pending")
	if w.object("v1", "HTTPRoute", "hello-world") == nil {
		t.Error("no route")
	}
	delete(w.served, "HTTPRoute")
	w.r.routes.kinds.forget()
	w.reconcile()
	w.routed("False/GatewayAPIMissing")
}

// An answer is kept, but not while definitions come and go: the API server shows them before it serves them.
func TestRouteKinds(t *testing.T) {
	now, asked := time.Now(), 0
	served := servedKinds{}
	kinds := newRouteKinds(func() (kindMapper, error) { asked++; return served, nil }, func() time.Time { return now })
	is := func(want bool, questions int) {
		t.Helper()
		asked = 0
		for range 2 {
			if version, got, err := kinds.served("HTTPRoute"); got != want || err != nil || got && version.Version != "v1" {
				t.Errorf("served = %v %s, %v, want %v", got, version, err, want)
			}
		}
		if asked != questions {
			t.Errorf("asked %d times, want %d", asked, questions)
		}
	}
	is(false, 1)
	kinds.forget() // the definition is there
	is(false, 2)   // and is not served yet
	served["HTTPRoute"] = "v1"
	is(true, 2)
	now = now.Add(settling)
	is(true, 1)
	is(true, 0)
	delete(served, "HTTPRoute")
	kinds.forget()
	is(false, 2)
}

func TestRoutes_ForeignOnesAreNotTouched(t *testing.T) {
	foreign := &unstructured.Unstructured{}
	text := "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: hello-world, namespace: default}, spec: {hostnames: [mine.example.com]}}"
	if err := yaml.Unmarshal([]byte(text), &foreign.Object); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, foreign)
	w.served["HTTPRoute"] = "v1"
	w.setPolicy(map[string]string{"routes": plainRoute})
	w.reconcile()
	w.routed("False/ForeignRoute", "HTTPRoute hello-world")
	w.setPolicy(map[string]string{})
	w.reconcile()
	if hosts, _, _ := unstructured.NestedStringSlice(w.object("v1", "HTTPRoute", "hello-world").Object, "spec", "hostnames"); len(hosts) != 1 || hosts[0] != "mine.example.com" {
		t.Errorf("host names = %v", hosts)
	}
}

const classic = "{className: traefik, hosts: [shop.example.com], paths: [/a, /b], tlsSecret: shop-tls, annotations: {example.com/x: z}}"

func (w *world) ingress() *networkingv1.Ingress {
	w.t.Helper()
	var i networkingv1.Ingress
	err := w.client.Get(context.Background(), hello, &i)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return &i
}

// A classic Ingress stands where the Gateway API is not, and until its Gateways have taken over.
func TestIngress(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(map[string]string{"routes": plainRoute, "ingress": classic})
	w.reconcile()
	i := w.ingress()
	if i == nil || *i.Spec.IngressClassName != "traefik" || len(i.Spec.Rules) != 1 || len(i.Spec.Rules[0].HTTP.Paths) != 2 || i.Spec.TLS[0].SecretName != "shop-tls" ||
		i.Annotations["example.com/x"] != "z" || i.OwnerReferences[0].Name != "hello-world" {
		t.Fatalf("ingress = %+v", i)
	}
	if b := i.Spec.Rules[0].HTTP.Paths[1]; b.Path != "/b" || *b.PathType != networkingv1.PathTypePrefix || b.Backend.Service.Port.Name != "http" {
		t.Errorf("path = %+v", b)
	}
	w.atRest()
	w.served["HTTPRoute"] = "v1"
	w.r.routes.kinds.forget()
	w.reconcile()
	w.routed("False/Pending")
	if w.ingress() == nil {
		t.Error("the Ingress is gone before any Gateway took the route")
	}
	w.answer(taken(yes, yes))
	w.reconcile()
	w.routed("True/Routed")
	if w.ingress() != nil {
		t.Error("the Ingress stands beside the route")
	}

	w.setPolicy(map[string]string{"ingress": "{port: nothing}"})
	w.reconcile()
	w.routed("False/InvalidPolicy", `no port named "nothing"`)
	w.setPolicy(map[string]string{"ingress": "{}"})
	w.reconcile()
	w.routed("True/Routed", "Ingress hello-world")
	if i := w.ingress(); i == nil || i.Spec.Rules[0].Host != "" || i.Spec.Rules[0].HTTP.Paths[0].Path != "/" {
		t.Errorf("ingress = %+v", i)
	}
}

func TestIngress_ForeignOnesAreNotTouched(t *testing.T) {
	foreign := &networkingv1.Ingress{}
	foreign.Namespace, foreign.Name = "default", "hello-world"
	w := newWorld(t, foreign)
	w.setPolicy(map[string]string{"ingress": classic})
	w.reconcile()
	w.routed("False/ForeignRoute", "Ingress hello-world")
	w.setPolicy(map[string]string{})
	w.reconcile()
	if i := w.ingress(); i == nil || len(i.Spec.Rules) > 0 {
		t.Errorf("ingress = %+v", i)
	}
}
