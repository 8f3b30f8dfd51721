package install_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/conditions"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/hostgroup"
	"github.com/trellis-operator/trellis/internal/install"
)

// These tests let a real kube-apiserver judge what the controllers write: its defaults and its field ownership are what
// decides whether they are at rest, and no fake has them.

// assets finds kube-apiserver and etcd: those of the local cluster's tools, or of KUBEBUILDER_ASSETS.
func assets(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir
	}
	if cache, err := os.UserCacheDir(); err == nil {
		if found, _ := filepath.Glob(filepath.Join(cache, "trellis", "kube", "kubernetes-*", "kube-apiserver")); len(found) > 0 {
			return filepath.Dir(found[len(found)-1])
		}
	}
	t.Skip("NOT RUN: there is no kube-apiserver here; `make up` builds one, KUBEBUILDER_ASSETS names another")
	return ""
}

// server is a running kube-apiserver; writes counts what reaches it.
type server struct {
	config *rest.Config
	client client.Client
	mu     sync.Mutex
	writes []string
}

func (s *server) RoundTrip(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet {
			s.mu.Lock()
			s.writes = append(s.writes, r.Method+" "+r.URL.Path)
			s.mu.Unlock()
		}
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func startServer(t *testing.T) *server {
	t.Helper()
	env := &envtest.Environment{BinaryAssetsDirectory: assets(t), ControlPlaneStartTimeout: 2 * time.Minute, ControlPlaneStopTimeout: 30 * time.Second}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Log(err)
		}
	})
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	s := &server{config: config}
	counted := rest.CopyConfig(config)
	counted.Wrap(s.RoundTrip)
	extensions, err := apiextensions.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := install.ApplyCRDs(t.Context(), install.Clients{Extensions: extensions}); err != nil {
			t.Fatal(err)
		}
	}
	if s.client, err = client.New(counted, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	return s
}

// atRest demands that run writes nothing.
func (s *server) atRest(t *testing.T, run func()) {
	t.Helper()
	s.mu.Lock()
	s.writes = nil
	s.mu.Unlock()
	run()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.writes) > 0 {
		t.Errorf("wrote at rest: %v", s.writes)
	}
}

// lattice is an empty lattice with a hub that makes any credentials.
type lattice struct{ hosts []hostgroup.Host }

func (l *lattice) Hosts(context.Context, string) ([]hostgroup.Host, error)       { return l.hosts, nil }
func (l *lattice) Applications(context.Context, string) ([]hostgroup.App, error) { return nil, nil }
func (l *lattice) Issue(*v1alpha1.WasmCloudHostConfig) ([]byte, error)           { return []byte("creds"), nil }
func (l *lattice) Valid(_ *v1alpha1.WasmCloudHostConfig, creds []byte) bool {
	return string(creds) == "creds"
}

func TestServer(t *testing.T) {
	s := startServer(t)
	t.Run("host group", func(t *testing.T) { testHostGroup(t, s) })
	t.Run("scale", func(t *testing.T) { testScale(t, s) })
	t.Run("every field", func(t *testing.T) { testEveryField(t, s) })
	t.Run("every new field", func(t *testing.T) { testNewFields(t, s) })
	t.Run("restricted namespace", func(t *testing.T) { testRestricted(t, s) })
	t.Run("refused by the schema", func(t *testing.T) { testSchema(t, s) })
	t.Run("take-over", func(t *testing.T) { testTakeOver(t, s) })
	t.Run("exposure", func(t *testing.T) { testExposure(t, s) })
	t.Run("policy", func(t *testing.T) { testPolicy(t, s) })
	t.Run("node port", func(t *testing.T) { testNodePort(t, s) })
	t.Run("routes", func(t *testing.T) { testRoutes(t, s) })
	t.Run("readiness", func(t *testing.T) { testReadiness(t, s) })
}

func groupReconciler(s *server) *hostgroup.Reconciler {
	l := &lattice{}
	return hostgroup.New(hostgroup.Options{
		Images: hostgroup.Images{Helper: "ghcr.io/trellis-operator/trellis:0.1.0"}, Hosts: l, Applications: l, Client: s.client, Live: s.client,
		Hub: hostgroup.Hub{Address: "nats://trellis-nats.trellis-system.svc", Credentials: l, Lattices: map[string][]string{"default": {"*"}}},
	})
}

func look(t *testing.T, r reconcile.Reconciler, name string) {
	t.Helper()
	if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "default", Name: name}}); err != nil {
		t.Fatal(err)
	}
}

func (s *server) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := s.client.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

func (s *server) get(t *testing.T, name string, object client.Object) {
	t.Helper()
	if err := s.client.Get(t.Context(), types.NamespacedName{Namespace: "default", Name: name}, object); err != nil {
		t.Fatal(err)
	}
}

func minimal(name string) *v1alpha1.WasmCloudHostConfig {
	return &v1alpha1.WasmCloudHostConfig{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: v1alpha1.WasmCloudHostConfigSpec{Lattice: "default", Version: "1.9.2"}}
}

func testHostGroup(t *testing.T, s *server) {
	r := groupReconciler(s)
	s.create(t, minimal("hosts"))
	look(t, r, "hosts")
	s.atRest(t, func() { look(t, r, "hosts") })

	// kubectl scale whc, as an autoscaler does.
	group := minimal("hosts")
	if err := s.client.SubResource("scale").Patch(t.Context(), group, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":3}}`))); err != nil {
		t.Fatal(err)
	}
	look(t, r, "hosts")
	var d appsv1.Deployment
	s.get(t, "hosts", &d)
	if *d.Spec.Replicas != 3 || len(d.Spec.Template.Spec.InitContainers) != 2 || d.Spec.Template.Spec.InitContainers[1].RestartPolicy == nil {
		t.Errorf("deployment = %+v", d.Spec)
	}
	s.atRest(t, func() { look(t, r, "hosts") })

	// Someone else's change of what Trellis wants is mended, of what it leaves open is kept.
	d.Spec.Template.Spec.Containers[0].Env[0].Value = "false"
	d.Spec.RevisionHistoryLimit = new(int32(3))
	if err := s.client.Update(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	look(t, r, "hosts")
	s.get(t, "hosts", &d)
	if d.Spec.Template.Spec.Containers[0].Env[0].Value != "true" || *d.Spec.RevisionHistoryLimit != 3 {
		t.Errorf("after a change by someone else: %v, %d", d.Spec.Template.Spec.Containers[0].Env[0], *d.Spec.RevisionHistoryLimit)
	}
	s.atRest(t, func() { look(t, r, "hosts") })
	s.get(t, "hosts", group)
	if c := conditions.Find(group.Status.Conditions, "Ready"); c == nil || c.Reason != v1alpha1.ReasonRollingOut || group.Status.Ready != "0/3" {
		t.Errorf("status = %+v", group.Status)
	}
}

// testScale lets users and autoscalers scale the group and its Deployment.
func testScale(t *testing.T, s *server) {
	r := groupReconciler(s)
	s.create(t, minimal("scaled"))
	look(t, r, "scaled")
	scale := func(object client.Object, manager string, replicas int) {
		t.Helper()
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
		if err := s.client.SubResource("scale").Patch(t.Context(), object, patch, client.FieldOwner(manager)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(replicas int32, who string) {
		t.Helper()
		look(t, r, "scaled")
		var d appsv1.Deployment
		s.get(t, "scaled", &d)
		if *d.Spec.Replicas != replicas {
			t.Errorf("%s: %d replicas, want %d", who, *d.Spec.Replicas, replicas)
		}
		s.atRest(t, func() { look(t, r, "scaled") })
	}
	deployment := func() client.Object {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "scaled"}}
	}
	scale(minimal("scaled"), "kube-controller-manager", 2)
	want(2, "an autoscaler of the group")
	scale(deployment(), "kubectl", 5)
	want(2, "a user scales the Deployment")
	scale(deployment(), "kube-controller-manager", 7)
	want(7, "an autoscaler of the Deployment")
	scale(minimal("scaled"), "kubectl", 3)
	want(7, "the group is scaled beside it")
	scale(deployment(), "kubectl", 4)
	want(3, "a user takes the Deployment back from the autoscaler")
}

// testNewFields applies the example of the spec page that has every field that wasmCloud's operator did not.
func testNewFields(t *testing.T, s *server) {
	text, err := os.ReadFile("../hostgroup/testdata/plant.input.yaml")
	if err != nil {
		t.Fatal(err)
	}
	group := &v1alpha1.WasmCloudHostConfig{}
	if err := yaml.UnmarshalStrict(text, group); err != nil {
		t.Fatal(err)
	}
	group.Namespace = "default"
	group.Spec.NATS.TLS.CertificateAuthority.ConfigMapName = "plant-ca"
	s.create(t, group)
	for name, data := range map[string]map[string]string{"plant-login": {"username": "u", "password": "p"}, "plant-certificate": {"tls.crt": "c", "tls.key": "k"}} {
		s.create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, StringData: data})
	}
	s.create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "plant-ca"}, Data: map[string]string{"ca.crt": "x"}})
	r := groupReconciler(s)
	look(t, r, "plant")
	s.get(t, "plant", &appsv1.Deployment{})
	s.get(t, "plant", &policyv1.PodDisruptionBudget{})
	s.atRest(t, func() { look(t, r, "plant") })

	s.get(t, "plant", group)
	group.Spec.SchedulingOptions = &v1alpha1.SchedulingOptions{Daemonset: true, Rollout: &v1alpha1.Rollout{MaxSurge: new(intstr.FromString("50%"))}}
	if err := s.client.Update(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	look(t, r, "plant")
	var ds appsv1.DaemonSet
	s.get(t, "plant", &ds)
	if u := ds.Spec.UpdateStrategy.RollingUpdate; u.MaxSurge.String() != "50%" || u.MaxUnavailable.String() != "0" {
		t.Errorf("update strategy = %+v", u)
	}
	s.atRest(t, func() { look(t, r, "plant") })

	// What is no longer named falls back to what Kubernetes does by itself.
	s.get(t, "plant", group)
	group.Spec.SchedulingOptions.Rollout = nil
	if err := s.client.Update(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	look(t, r, "plant")
	s.get(t, "plant", &ds)
	if u := ds.Spec.UpdateStrategy.RollingUpdate; u.MaxSurge.String() != "0" || u.MaxUnavailable.String() != "1" {
		t.Errorf("update strategy = %+v", u)
	}
	s.atRest(t, func() { look(t, r, "plant") })
}

func testEveryField(t *testing.T, s *server) {
	text, err := os.ReadFile("../hostgroup/testdata/full.input.yaml")
	if err != nil {
		t.Fatal(err)
	}
	group := &v1alpha1.WasmCloudHostConfig{}
	if err := yaml.UnmarshalStrict(text, group); err != nil {
		t.Fatal(err)
	}
	group.Namespace = "default"
	s.create(t, group)
	for name, data := range map[string]map[string]string{"edge-nats": {"nats.creds": "x"}, "extra-ca": {"ca.crt": "x"},
		"registry": {corev1.DockerConfigJsonKey: `{"auths":{"r.example.com":{"username":"u","password":"p"}}}`}} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, StringData: data}
		s.create(t, secret)
	}
	s.create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "corp-ca"}, Data: map[string]string{"a.crt": "x", "readme": "y"}})
	r := groupReconciler(s)
	look(t, r, "edge")
	s.get(t, "edge", &appsv1.DaemonSet{})
	s.atRest(t, func() { look(t, r, "edge") })
	s.get(t, "edge", group)
	if c := conditions.Find(group.Status.Conditions, v1alpha1.ConditionValid); c == nil || c.Status != metav1.ConditionTrue {
		t.Errorf("valid = %+v", c)
	}
}

// testRestricted asks the server's own Pod Security, in a namespace that enforces the restricted level.
func testRestricted(t *testing.T, s *server) {
	s.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "strict", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}})
	for name, tc := range map[string]struct {
		options *v1alpha1.SchedulingOptions
		refused string
	}{
		"plain": {&v1alpha1.SchedulingOptions{}, ""},
		"privileged": {&v1alpha1.SchedulingOptions{ContainerTemplateAdditions: &v1alpha1.ContainerTemplateAdditions{
			Wasmcloud: &apiextensionsv1.JSON{Raw: []byte(`{"securityContext":{"privileged":true,"allowPrivilegeEscalation":true}}`)}}}, "privileged"},
		"host-network": {&v1alpha1.SchedulingOptions{PodTemplateAdditions: &apiextensionsv1.JSON{Raw: []byte(`{"hostNetwork":true}`)}}, "host namespaces"},
	} {
		group := minimal(name)
		group.Namespace, group.Spec.SchedulingOptions = "strict", tc.options
		s.create(t, group)
		key := client.ObjectKeyFromObject(group)
		if _, err := groupReconciler(s).Reconcile(t.Context(), reconcile.Request{NamespacedName: key}); err != nil {
			t.Fatal(err)
		}
		var d appsv1.Deployment
		if err := s.client.Get(t.Context(), key, &d); err != nil {
			t.Fatal(err)
		}
		pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
		pod.Namespace, pod.Name = "strict", name
		err := s.client.Create(t.Context(), pod, client.DryRunAll)
		if tc.refused == "" && err != nil || tc.refused != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.refused)) {
			t.Errorf("%s: %v, want a refusal that names %q", name, err, tc.refused)
		}
	}
}

func testSchema(t *testing.T, s *server) {
	for lattice, says := range map[string]string{"a.b": "no dots, spaces or wildcards", "": "spec.lattice"} {
		group := minimal("wrong")
		group.Spec.Lattice = lattice
		if err := s.client.Create(t.Context(), group); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), says) {
			t.Errorf("lattice %q: %v", lattice, err)
		}
	}
}

// testTakeOver begins with what wasmCloud's operator applied, under its field manager and under another name of it.
func testTakeOver(t *testing.T, s *server) {
	text, err := os.ReadFile("../hostgroup/testdata/v1/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, deployment, _ := strings.Cut(string(text), "\n---\n")
	for name, manager := range map[string]string{"old": v1alpha1.FieldManager, "older": "application/apply-patch+yaml"} {
		s.create(t, minimal(name))
		var group v1alpha1.WasmCloudHostConfig
		s.get(t, name, &group)
		raw, err := yaml.YAMLToJSON([]byte(strings.NewReplacer("UID", string(group.UID), "hosts", name).Replace(deployment)))
		if err != nil {
			t.Fatal(err)
		}
		old := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		if err := s.client.Patch(t.Context(), old, client.RawPatch(types.ApplyPatchType, raw), client.FieldOwner(manager)); err != nil {
			t.Fatal(err)
		}
		before := old.Generation
		r := groupReconciler(s)
		look(t, r, name)
		s.get(t, name, old)
		if old.Generation != before {
			t.Error("the Deployment was changed")
		}
		s.atRest(t, func() { look(t, r, name) })

		s.get(t, name, &group)
		group.Annotations = map[string]string{v1alpha1.AdoptAnnotation: v1alpha1.AdoptRoll}
		if err := s.client.Update(t.Context(), &group); err != nil {
			t.Fatal(err)
		}
		look(t, r, name)
		s.get(t, name, old)
		spec := old.Spec.Template.Spec
		if len(spec.Containers) != 1 || len(spec.Containers[0].Command) != 0 || len(spec.InitContainers) != 2 || spec.DeprecatedServiceAccount != name {
			t.Errorf("%s, after the roll: %+v", name, spec)
		}
		s.atRest(t, func() { look(t, r, name) })
	}
}

// exposed is one application that runs on one host.
type exposed struct {
	mu    sync.Mutex
	looks int
	app   exposure.Application
	host  exposure.Host
	port  string
}

func (e *exposed) Application(context.Context, types.NamespacedName) (*exposure.Application, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looks++
	app := e.app
	return &app, nil
}
func (e *exposed) InLattice(context.Context, string) ([]types.NamespacedName, error) { return nil, nil }
func (e *exposed) Report(_ context.Context, _ types.NamespacedName, _ types.UID, x exposure.Exposure) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.app.Exposed, e.app.Routed, e.app.Endpoint, e.app.Kept = x.Condition, x.Routed, x.Endpoint, x.Kept
	return nil
}
func (e *exposed) View(context.Context, string) (exposure.View, error) { return e, nil }
func (e *exposed) Links(string) []exposure.Link {
	return []exposure.Link{{Target: "c", Namespace: "wasi", Package: "http", Interfaces: []string{"incoming-handler"}, SourceConfig: []string{"a"}}}
}
func (e *exposed) Config(string) (map[string]string, bool) {
	return map[string]string{"address": "0.0.0.0:" + e.port}, true
}
func (e *exposed) Hosts(string) []exposure.Host { return []exposure.Host{e.host} }

// expose runs an application on a host of its own.
func expose(t *testing.T, s *server, name string) (*exposed, *exposure.Reconciler) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name + "-host"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	s.create(t, pod)
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.7", PodIPs: []corev1.PodIP{{IP: "10.0.0.7"}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	if err := s.client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	e := &exposed{port: "8080", host: exposure.Host{ID: "N", Labels: map[string]string{v1alpha1.HostLabelNamespace: "default",
		v1alpha1.HostLabelPodName: pod.Name, v1alpha1.HostLabelPodUID: string(pod.UID)}}}
	e.app = exposure.Application{Namespace: "default", Name: name, UID: "uid", Lattice: "default", Deployed: true,
		Providers: []exposure.Provider{{ID: "p", Component: "web", Image: "ghcr.io/wasmcloud/http-server:0.27.0", ServesHTTP: true}}}
	return e, exposure.New(exposure.Options{Applications: e, Lattices: e, Client: s.client, Live: s.client})
}

func testExposure(t *testing.T, s *server) {
	e, r := expose(t, s, "hello-world")
	look(t, r, "hello-world")
	s.atRest(t, func() { look(t, r, "hello-world") })
	var service corev1.Service
	s.get(t, "hello-world", &service)
	address := service.Spec.ClusterIP

	// The user's own settings survive a new port.
	service.Spec.Type = corev1.ServiceTypeNodePort
	if err := s.client.Update(t.Context(), &service); err != nil {
		t.Fatal(err)
	}
	s.atRest(t, func() { look(t, r, "hello-world") })
	e.port = "9090"
	look(t, r, "hello-world")
	s.get(t, "hello-world", &service)
	if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Port != 9090 || service.Spec.Type != corev1.ServiceTypeNodePort || service.Spec.ClusterIP != address {
		t.Errorf("service = %+v", service.Spec)
	}
	var slices discoveryv1.EndpointSliceList
	if err := s.client.List(t.Context(), &slices, client.InNamespace("default"), client.MatchingLabels{discoveryv1.LabelServiceName: "hello-world"}); err != nil {
		t.Fatal(err)
	}
	if len(slices.Items) != 1 || *slices.Items[0].Ports[0].Port != 9090 || slices.Items[0].Endpoints[0].Addresses[0] != "10.0.0.7" {
		t.Errorf("slices = %+v", slices.Items)
	}
	s.atRest(t, func() { look(t, r, "hello-world") })
	e.app.Deployed = false
	look(t, r, "hello-world")
	if err := s.client.Get(t.Context(), client.ObjectKeyFromObject(&service), &service); !apierrors.IsNotFound(err) {
		t.Errorf("the Service is still there: %v", err)
	}
}
