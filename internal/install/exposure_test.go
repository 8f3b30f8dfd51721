package install_test

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/policy"
)

// setPolicy gives the application one expose policy.
func (e *exposed) setPolicy(t *testing.T, properties map[string]string) {
	t.Helper()
	spec := &oam.ApplicationSpec{Components: []oam.Component{{Name: "web", Type: "capability"}},
		Policies: []oam.Policy{{Name: "p", Type: policy.ExposeType, Properties: properties}}}
	settings, problems := policy.Read(e.app.Name, spec)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.app.Policy = settings
}

func testPolicy(t *testing.T, s *server) {
	e, r := expose(t, s, "policies")
	for _, properties := range []map[string]string{
		{"component": "web", "ports": "[{name: web, port: 80, targetPort: 8080, appProtocol: kubernetes.io/h2c}, {port: 53, targetPort: 5353, protocol: UDP}]"},
		{"type": "LoadBalancer", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local", "loadBalancerClass": "example.com/inner", "annotations": "example.com/a: b"},
		{"type": "NodePort", "sessionAffinity": "ClientIP", "sessionAffinityTimeoutSeconds": "60", "labels": "team: shop"},
		{},
		{"ingress": "{className: traefik, hosts: [shop.example.com], tlsSecret: shop}"},
		{"headless": "true"},
		{"type": "ClusterIP"},
	} {
		e.setPolicy(t, properties)
		for range 3 { // one that must be made anew goes first
			look(t, r, "policies")
		}
		if c := e.app.Exposed; c == nil || c.Status != metav1.ConditionTrue {
			t.Errorf("%v: %+v", properties, c)
		}
		s.atRest(t, func() { look(t, r, "policies") })
	}
	var service corev1.Service
	s.get(t, "policies", &service)
	if service.Spec.ClusterIP == corev1.ClusterIPNone || service.Spec.SessionAffinity != corev1.ServiceAffinityNone || service.Labels["team"] != "" ||
		service.Annotations["example.com/a"] != "" || len(service.Spec.Ports) != 1 {
		t.Errorf("what a policy set is left: %+v", service)
	}
}

// A node port that a user sets follows its port, survives the Service, and keeps no port that is gone.
func testNodePort(t *testing.T, s *server) {
	e, r := expose(t, s, "node-ports")
	look(t, r, "node-ports")
	patch := `{"metadata":{"annotations":{"example.com/mine":"yes"}},"spec":{"type":"NodePort","ports":[{"port":8080,"nodePort":30081}]}}`
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "node-ports"}}
	if err := s.client.Patch(t.Context(), service, client.RawPatch(types.StrategicMergePatchType, []byte(patch)), client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}
	look(t, r, "node-ports")
	for _, port := range []string{"9090", "9191"} {
		e.port = port
		look(t, r, "node-ports")
		s.get(t, "node-ports", service)
		if len(service.Spec.Ports) != 1 || fmt.Sprint(service.Spec.Ports[0].Port) != port || service.Spec.Ports[0].NodePort != 30081 {
			t.Fatalf("with port %s: %+v", port, service.Spec.Ports)
		}
		s.atRest(t, func() { look(t, r, "node-ports") })
	}
	if err := s.client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	s.get(t, "node-ports", service) // held by the finalizer
	look(t, r, "node-ports")
	if err := s.client.Get(t.Context(), client.ObjectKeyFromObject(service), service); !apierrors.IsNotFound(err) {
		t.Fatalf("after a look the Service is still there: %v", err)
	}
	look(t, r, "node-ports")
	s.get(t, "node-ports", service)
	if service.Spec.Type != corev1.ServiceTypeNodePort || service.Spec.Ports[0].NodePort != 30081 || service.Annotations["example.com/mine"] != "yes" {
		t.Errorf("made anew: %+v", service)
	}
	s.atRest(t, func() { look(t, r, "node-ports") })
	e.port = "9292"
	look(t, r, "node-ports")
	s.get(t, "node-ports", service)
	if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Port != 9292 || service.Spec.Type != corev1.ServiceTypeNodePort {
		t.Errorf("made anew, with another port: %+v", service.Spec)
	}
	s.atRest(t, func() { look(t, r, "node-ports") })
}

// httpRoutes is the definition of HTTPRoute, with the fields that the test uses.
const httpRoutes = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: httproutes.gateway.networking.k8s.io
  annotations: {api-approved.kubernetes.io: unapproved}
spec:
  group: gateway.networking.k8s.io
  scope: Namespaced
  names: {kind: HTTPRoute, listKind: HTTPRouteList, plural: httproutes, singular: httproute}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              hostnames: {type: array, items: {type: string}}
              parentRefs: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, namespace: {type: string}, kind: {type: string, default: Gateway}}}}
              rules:
                type: array
                items:
                  type: object
                  properties:
                    matches: {type: array, items: {type: object, properties: {path: {type: object, properties: {type: {type: string, default: PathPrefix}, value: {type: string}}}}}}
                    backendRefs: {type: array, items: {type: object, properties: {name: {type: string}, port: {type: integer}, weight: {type: integer, default: 1}, kind: {type: string, default: Service}, group: {type: string, default: ""}}}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

// startManager runs the controller as the operator does, and returns what it is told with.
func startManager(t *testing.T, s *server, e *exposed) chan exposure.Trigger {
	t.Helper()
	config := rest.CopyConfig(s.config)
	config.Wrap(s.RoundTrip)
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: s.client.Scheme(), Cache: cache.Options{ByObject: exposure.CacheByObject()},
		Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Controller: ctrlconfig.Controller{SkipNameValidation: new(true)}}) // go test -count runs it again
	if err != nil {
		t.Fatal(err)
	}
	r := exposure.New(exposure.Options{Applications: e, Lattices: e, Client: mgr.GetClient(), Live: mgr.GetAPIReader()})
	triggers := make(chan exposure.Trigger)
	if err := r.SetupWithManager(mgr, triggers); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return triggers
}

func eventually(t *testing.T, what string, look func(ctx context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = look(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, last)
	}
}

func (e *exposed) looked() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.looks
}

func (e *exposed) routed(reason string, words ...string) func(context.Context) error {
	return func(context.Context) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		c := e.app.Routed
		if c == nil || c.Reason != reason {
			return fmt.Errorf("condition %+v, want reason %s", c, reason)
		}
		for _, word := range words {
			if !strings.Contains(c.Message, word) {
				return fmt.Errorf("message %q, want %q", c.Message, word)
			}
		}
		return nil
	}
}

// The Gateway API appears while the operator runs; routes are made, read back, and refused with the server's words.
func testRoutes(t *testing.T, s *server) {
	e, _ := expose(t, s, "routes")
	const plain = "[{kind: HTTPRoute, parentRefs: [{name: public, namespace: gateways}], rules: [{matches: [{path: {value: /}}]}]}]"
	e.setPolicy(t, map[string]string{"routes": plain})
	triggers := startManager(t, s, e)
	trigger := func() {
		triggers <- exposure.Trigger{Application: types.NamespacedName{Namespace: "default", Name: "routes"}}
	}
	trigger()
	eventually(t, "without the Gateway API", e.routed("GatewayAPIMissing"))
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict([]byte(httpRoutes), definition); err != nil {
		t.Fatal(err)
	}
	extensions, err := apiextensions.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := extensions.ApiextensionsV1().CustomResourceDefinitions().Create(t.Context(), definition, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "when the Gateway API is there", e.routed("Pending", "Gateway gateways/public"))

	route := &unstructured.Unstructured{}
	route.SetGroupVersionKind(schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"})
	s.get(t, "routes", route)
	route.Object["status"] = map[string]any{"parents": []any{map[string]any{
		"parentRef":  map[string]any{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "gateways"},
		"conditions": []any{map[string]any{"type": "Accepted", "status": "True", "observedGeneration": int64(1)}, map[string]any{"type": "ResolvedRefs", "status": "True"}},
	}}}
	if err := s.client.Status().Update(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	eventually(t, "when the Gateway took the route", e.routed("Routed"))
	s.atRest(t, func() {
		for range 3 { // the last of which begins after the one before has ended
			before := e.looked()
			trigger()
			eventually(t, "a look", func(context.Context) error {
				if e.looked() == before {
					return errors.New("nobody looked")
				}
				return nil
			})
		}
	})

	e.setPolicy(t, map[string]string{"routes": strings.Replace(plain, "value: /", "valeu: /", 1)})
	trigger()
	eventually(t, "a field that the Gateway API does not know", e.routed("Refused", "valeu"))

	definitions := extensions.ApiextensionsV1().CustomResourceDefinitions()
	if err := definitions.Delete(t.Context(), definition.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "when the Gateway API is gone", e.routed("GatewayAPIMissing"))
	eventually(t, "the Gateway API again", func(ctx context.Context) error {
		_, err := definitions.Create(ctx, definition, metav1.CreateOptions{})
		return err
	})
	eventually(t, "when the Gateway API is there again", e.routed("Refused", "valeu"))

	// A Service that is deleted by hand comes back by itself, and its route with it.
	e.setPolicy(t, map[string]string{"routes": plain})
	service := &corev1.Service{}
	s.get(t, "routes", service)
	before := service.UID
	if err := s.client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Service is made anew", func(ctx context.Context) error {
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
			return err
		}
		if service.UID == before || service.DeletionTimestamp != nil {
			return errors.New("it is the old one")
		}
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(route), route); err != nil {
			return err
		}
		if o := route.GetOwnerReferences(); len(o) != 1 || o[0].UID != service.UID {
			return fmt.Errorf("the route belongs to %v", o)
		}
		return nil
	})
}

// From a pod that is ready no more, or again, to the slice that says so: within a second, and hardly more than a write each.
func testReadiness(t *testing.T, s *server) {
	const changes, most = 300, time.Second
	e, _ := expose(t, s, "readiness")
	triggers := startManager(t, s, e)
	triggers <- exposure.Trigger{Application: types.NamespacedName{Namespace: "default", Name: "readiness"}}
	watching, err := client.NewWithWatch(s.config, client.Options{Scheme: s.client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	slices, err := watching.Watch(t.Context(), &discoveryv1.EndpointSliceList{}, client.InNamespace("default"), client.MatchingLabels{discoveryv1.LabelServiceName: "readiness"})
	if err != nil {
		t.Fatal(err)
	}
	defer slices.Stop()
	says := func(ready bool) {
		t.Helper()
		deadline := time.After(30 * time.Second)
		for {
			select {
			case event := <-slices.ResultChan():
				if slice, ok := event.Object.(*discoveryv1.EndpointSlice); ok && len(slice.Endpoints) == 1 && *slice.Endpoints[0].Conditions.Ready == ready {
					return
				}
			case <-deadline:
				t.Fatalf("no slice with ready = %v", ready)
			}
		}
	}
	says(true)
	pod := &corev1.Pod{}
	s.get(t, "readiness-host", pod)
	var took []time.Duration
	s.mu.Lock()
	s.writes = nil
	s.mu.Unlock()
	for i := range changes {
		ready := i%2 == 1
		pod.Status.Conditions[0].Status = map[bool]corev1.ConditionStatus{true: corev1.ConditionTrue, false: corev1.ConditionFalse}[ready]
		before := time.Now()
		if err := watching.Status().Update(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		says(ready)
		took = append(took, time.Since(before))
	}
	s.mu.Lock()
	written := len(s.writes)
	s.mu.Unlock()
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	p99 := took[len(took)*99/100]
	t.Logf("from the pod's status to the slice: p50 %v, p99 %v, %d writes for %d changes", took[len(took)/2], p99, written, changes)
	if p99 > most || written > changes*11/10 { // a write that the cache does not show yet is made again
		t.Errorf("p99 %v (at most %v), %d writes for %d changes", p99, most, written, changes)
	}
}
