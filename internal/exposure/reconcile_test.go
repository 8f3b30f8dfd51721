package exposure

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/lattice"
)

var update = flag.Bool("update", false, "rewrite golden files")

var hello = types.NamespacedName{Namespace: "default", Name: "hello-world"}

// world is a fake API server and a lattice with one application, hello-world, on two hosts.
type world struct {
	t       *testing.T
	client  client.Client
	r       *Reconciler
	app     *Application
	others  map[types.NamespacedName]*Application
	again   map[types.NamespacedName]bool // asked for
	urgency map[types.NamespacedName]urgency
	served  servedKinds
	view    *fakeView
	blind   error
	reports int
	writes  []string
	now     time.Time
	refuse  func(*corev1.Service) error // of what is created
	stale   int                         // how many updates find that somebody else was faster
	cached  []discoveryv1.EndpointSlice // what the cache shows, if it is behind

	mu    sync.Mutex
	deaf  map[string]bool // addresses that do not answer
	asked int
}

func (w *world) Application(_ context.Context, key types.NamespacedName) (*Application, error) {
	if key != hello {
		return w.others[key], w.blind
	}
	return w.app, w.blind
}
func (w *world) InLattice(context.Context, string) ([]types.NamespacedName, error) {
	return append(slices.Collect(maps.Keys(w.others)), hello), nil
}
func (w *world) Report(_ context.Context, key types.NamespacedName, uid types.UID, e Exposure) error {
	app := w.others[key]
	if key == hello {
		app = w.app
	}
	if app == nil || uid != app.UID {
		return fmt.Errorf("reported for %s %s", key, uid)
	}
	w.reports++
	app.Exposed, app.Routed, app.Endpoint, app.Kept = e.Condition, e.Routed, e.Endpoint, e.Kept
	return nil
}
func (w *world) View(context.Context, string) (View, error) {
	if w.view == nil {
		return nil, errors.New("NATS does not answer")
	}
	return w.view, nil
}
func (w *world) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.deaf[address] {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	return a, b.Close()
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, deaf: map[string]bool{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), others: map[types.NamespacedName]*Application{}, served: servedKinds{}}
	w.app = &Application{Namespace: "default", Name: "hello-world", UID: "app-uid", Lattice: "default", Deployed: true, Generation: 3,
		Providers: []Provider{{ID: "hello_world-httpserver", Component: "httpserver", Image: "ghcr.io/wasmcloud/http-server:0.27.0", ServesHTTP: true}}}
	hosts := []Host{hostOf("hosts-0"), hostOf("hosts-1")}
	w.view = &fakeView{
		links:   map[string][]Link{"hello_world-httpserver": {httpLink("hello_world-hello", "addr")}},
		configs: map[string]map[string]string{"addr": {"address": "0.0.0.0:8080"}},
		hosts:   map[string][]Host{"hello_world-httpserver": hosts, "hello_world-hello": hosts},
	}
	objects = append(objects, podNamed("hosts-0", "10.0.0.1"), podNamed("hosts-1", "10.0.0.2", "fd00::2"))
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&corev1.Pod{}).WithReturnManagedFields().
		WithIndex(&discoveryv1.EndpointSlice{}, serviceOfSlice, servicesOf).
		WithInterceptorFuncs(interceptor.Funcs{
			Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				w.writes = append(w.writes, fmt.Sprintf("apply %v", o))
				return c.Apply(ctx, o, opts...)
			},
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if s, ok := o.(*corev1.Service); ok && w.refuse != nil {
					if err := w.refuse(s); err != nil {
						return err
					}
				}
				w.writes = append(w.writes, "create "+o.GetName())
				return c.Create(ctx, o, opts...)
			},
			List: func(ctx context.Context, c client.WithWatch, o client.ObjectList, opts ...client.ListOption) error {
				if list, ok := o.(*discoveryv1.EndpointSliceList); ok && w.cached != nil {
					list.Items = slices.Clone(w.cached)
					return nil
				}
				return c.List(ctx, o, opts...)
			},
			Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
				w.writes = append(w.writes, "update "+o.GetName())
				if w.stale > 0 {
					w.stale--
					o.SetResourceVersion("1")
				}
				return c.Update(ctx, o, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				w.writes = append(w.writes, "patch "+o.GetName())
				return c.Patch(ctx, o, p, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				w.writes = append(w.writes, "delete "+o.GetName())
				return c.Delete(ctx, o, opts...)
			},
		}).Build()
	w.restart()
	return w
}

func (w *world) restart() {
	w.r = New(Options{Applications: w, Lattices: w, Client: w.client, Live: w.client, Dialer: w, Now: func() time.Time { return w.now }})
	w.r.indexed, w.r.reporter = true, newReporter(w.r.report)
	w.r.routes = routes{kinds: newRouteKinds(func() (kindMapper, error) { return w.served, nil }, func() time.Time { return w.now }), reader: w.client}
	w.again, w.urgency = map[types.NamespacedName]bool{}, map[types.NamespacedName]urgency{}
	w.r.again.to(func(key types.NamespacedName, when urgency) { w.again[key], w.urgency[key] = true, when })
}

func hostOf(pod string) Host {
	return Host{ID: "N" + pod, Labels: map[string]string{v1alpha1.HostLabelNamespace: "default", v1alpha1.HostLabelPodName: pod, v1alpha1.HostLabelPodUID: "uid-" + pod}}
}

func podNamed(name string, ips ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)}, Spec: corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
	for _, ip := range ips {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	return p
}

func (w *world) reconcile() reconcile.Result {
	w.t.Helper()
	return w.reconcileOf(hello)
}

func (w *world) reconcileOf(key types.NamespacedName) reconcile.Result {
	w.t.Helper()
	result, err := w.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: key})
	if err != nil {
		w.t.Fatal(err)
	}
	for w.r.reporter.queue.Len() > 0 {
		w.r.reporter.next(context.Background())
	}
	return result
}

func (w *world) atRest() {
	w.t.Helper()
	w.writes, w.reports, w.asked = nil, 0, 0
	w.reconcile()
	if len(w.writes) > 0 || w.reports > 0 || w.asked > 0 {
		w.t.Errorf("at rest: %d reports, %d dials, writes %v", w.reports, w.asked, w.writes)
	}
}

func (w *world) service() *corev1.Service {
	w.t.Helper()
	var s corev1.Service
	if err := w.client.Get(context.Background(), hello, &s); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		w.t.Fatal(err)
	}
	return &s
}

func (w *world) slices() []discoveryv1.EndpointSlice {
	w.t.Helper()
	var list discoveryv1.EndpointSliceList
	if err := w.client.List(context.Background(), &list); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

// endpoints lists address:port, with a mark for those that are not ready.
func (w *world) endpoints() string {
	w.t.Helper()
	var out []string
	for _, s := range w.slices() {
		for _, e := range s.Endpoints {
			text := net.JoinHostPort(e.Addresses[0], fmt.Sprint(*s.Ports[0].Port))
			if !*e.Conditions.Ready {
				text += "!"
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}

func (w *world) expect(endpoints, condition string) {
	w.t.Helper()
	if got := w.endpoints(); got != endpoints {
		w.t.Errorf("endpoints = %q, want %q", got, endpoints)
	}
	got := "none"
	if c := w.app.Exposed; c != nil {
		got = string(c.Status) + "/" + c.Reason
	}
	if got != condition {
		w.t.Errorf("condition = %s, want %s", got, condition)
	}
}

const bothPods = "10.0.0.1:8080 10.0.0.2:8080 [fd00::2]:8080"

func TestReconcile_Golden(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	w.expect(bothPods, "True/Exposed")
	if w.app.Endpoint != "hello-world.default.svc:8080" {
		t.Errorf("endpoint = %q", w.app.Endpoint)
	}
	var b strings.Builder
	add := func(o client.Object) {
		o.SetManagedFields(nil)
		o.SetResourceVersion("")
		raw, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n" + string(raw))
	}
	add(w.service())
	for _, s := range w.slices() {
		add(&s)
	}
	if *update {
		if err := os.WriteFile("testdata/hello.golden.yaml", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/hello.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("objects (-want +got; -update rewrites):\n%s", diff)
	}
	w.atRest()
}

func TestReconcile_EndpointsFollowWhatRuns(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	id, target := "hello_world-httpserver", "hello_world-hello"

	w.view.hosts[target] = []Host{hostOf("hosts-0")} // the component left hosts-1
	w.reconcile()
	w.expect("10.0.0.1:8080", "True/Exposed")
	w.view.hosts[id] = []Host{hostOf("hosts-1")} // an upstream host reaches components of other hosts
	w.reconcile()
	w.expect("10.0.0.2:8080 [fd00::2]:8080", "True/Exposed")
	local := hostOf("hosts-1")
	local.Labels[lattice.LabelHTTPServer] = lattice.HTTPServerLocal
	w.view.hosts[id] = []Host{local} // trellis-host does not
	w.reconcile()
	w.expect("", "False/NoEndpoints")
	w.atRest()

	w.view.hosts[id], w.view.hosts[target] = []Host{hostOf("hosts-0")}, []Host{hostOf("hosts-0")}
	w.reconcile()
	w.expect("10.0.0.1:8080", "True/Exposed")
	var pod corev1.Pod
	if err := w.client.Get(context.Background(), types.NamespacedName{Namespace: "default", Name: "hosts-0"}, &pod); err != nil {
		t.Fatal(err)
	}
	if got := w.r.applicationsOfPod(context.Background(), &pod); len(got) != 1 || got[0].NamespacedName != hello {
		t.Errorf("applications of the pod = %v", got)
	}
	pod.Status.Conditions[0].Status = corev1.ConditionFalse
	if err := w.client.Status().Update(context.Background(), &pod); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.expect("10.0.0.1:8080!", "False/NoEndpoints")
	if err := w.client.Delete(context.Background(), &pod); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.expect("", "False/NoEndpoints")
}

func TestReconcile_ALinkThatIsReplacedKeepsTheService(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	before := w.service().UID
	links := w.view.links
	w.view.links = nil
	w.reconcile()
	w.expect("", "False/Pending")
	w.view.links, w.view.configs["addr"] = links, map[string]string{"address": "0.0.0.0:9090"}
	w.reconcile()
	w.expect(strings.ReplaceAll(bothPods, "8080", "9090"), "True/Exposed")
	if s := w.service(); s == nil || s.UID != before || len(s.Spec.Ports) != 1 || s.Spec.Ports[0].Port != 9090 {
		t.Errorf("service = %+v", s)
	}
}

func TestReconcile_GoesWithTheApplication(t *testing.T) {
	for name, change := range map[string]func(*world){
		"deleted":            func(w *world) { w.app = nil },
		"undeployed":         func(w *world) { w.app.Deployed = false },
		"turned off":         func(w *world) { w.app.Disabled = true },
		"without HTTP":       func(w *world) { w.app.Providers = nil },
		"lattice unresolved": func(w *world) { w.app.Lattice = "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.reconcile()
			change(w)
			w.reconcile()
			if w.service() != nil {
				t.Error("the Service is still there")
			}
			if w.app != nil && (w.app.Exposed != nil || w.app.Endpoint != "") {
				t.Errorf("still reported: %+v", w.app)
			}
			w.atRest()
		})
	}
}

func TestReconcile_WhatIsNotKnownChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	view := w.view
	w.view, w.writes = nil, nil
	w.reconcile()
	w.view, w.blind = view, errors.New("the Application API does not answer")
	if _, err := w.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: hello}); err == nil {
		t.Error("an unknown application is no error")
	}
	w.expect(bothPods, "True/Exposed")
	if len(w.writes) > 0 {
		t.Errorf("wrote %v", w.writes)
	}
}

func TestReconcile_PodsCountWhileTheLatticeIsOutOfSight(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	w.view = nil
	w.restart()
	w.atRest()
	var pod corev1.Pod
	if err := w.client.Get(context.Background(), types.NamespacedName{Namespace: "default", Name: "hosts-0"}, &pod); err != nil {
		t.Fatal(err)
	}
	if got := w.r.applicationsOfPod(context.Background(), &pod); len(got) != 1 {
		t.Errorf("applications of the pod = %v", got)
	}
	pod.Status.Conditions[0].Status = corev1.ConditionFalse
	if err := w.client.Status().Update(context.Background(), &pod); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.expect("10.0.0.1:8080! 10.0.0.2:8080 [fd00::2]:8080", "True/Exposed")
	if err := w.client.Delete(context.Background(), &pod); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.expect("10.0.0.2:8080 [fd00::2]:8080", "True/Exposed")
	w.atRest()
}

func TestReconcile_PodsOfWasmCloudsTemplate(t *testing.T) {
	old := podNamed("old-0", "10.0.0.9")
	old.Labels = map[string]string{v1alpha1.AppNameLabel: v1alpha1.AppName, v1alpha1.InstanceLabel: "old"}
	group := &v1alpha1.WasmCloudHostConfig{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "old"}, Spec: v1alpha1.WasmCloudHostConfigSpec{Lattice: "default"}}
	w := newWorld(t, old, group)
	nameless := Host{ID: "Nold", Labels: map[string]string{"kubernetes": "true"}}
	outside := Host{ID: "Nlaptop", Labels: map[string]string{}}
	for id := range w.view.hosts {
		w.view.hosts[id] = []Host{hostOf("hosts-0"), nameless, outside}
	}
	w.reconcile()
	w.expect("10.0.0.1:8080 10.0.0.9:8080", "True/Exposed")
	w.atRest()
}

func TestReconcile_ForeignServicesAreNotTouched(t *testing.T) {
	for name, labels := range map[string]map[string]string{
		"without labels": nil,
		"of wasmCloud's name but with a selector": {v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.AppNameLabel: "hello-world"},
	} {
		t.Run(name, func(t *testing.T) {
			foreign := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello-world", Labels: labels},
				Spec: corev1.ServiceSpec{Selector: map[string]string{"a": "b"}}}
			w := newWorld(t, foreign)
			w.reconcile()
			w.expect("", "False/ForeignService")
			w.app = nil
			w.reconcile()
			if s := w.service(); s == nil || s.Spec.Selector["a"] != "b" {
				t.Errorf("service = %+v", s)
			}
		})
	}
}

// While the cache is behind, a slice is replaced, removed and made again as it is known from what was written, in one write
// each.
func TestReconcile_CacheBehind(t *testing.T) {
	w := newWorld(t)
	w.view.hosts = map[string][]Host{"hello_world-httpserver": {hostOf("hosts-0")}, "hello_world-hello": {hostOf("hosts-0")}}
	w.reconcile()
	w.expect("10.0.0.1:8080", "True/Exposed")
	w.cached, w.writes = w.slices(), nil
	ready := func(status corev1.ConditionStatus) {
		pod := w.pod("hosts-0")
		pod.Status.Conditions[0].Status = status
		if err := w.client.Status().Update(context.Background(), pod); err != nil {
			t.Fatal(err)
		}
		w.reconcile()
	}
	host := w.view.hosts["hello_world-httpserver"]
	runs := func(hosts []Host) {
		w.view.hosts["hello_world-httpserver"] = hosts
		w.reconcile()
	}
	wrote := func(what ...string) {
		t.Helper()
		for i := range what {
			what[i] += " hello-world-http-ipv4-0"
		}
		if !slices.Equal(w.writes, what) {
			t.Errorf("writes = %q, want %q", w.writes, what)
		}
	}
	ready(corev1.ConditionFalse)
	ready(corev1.ConditionTrue)
	ready(corev1.ConditionFalse)
	wrote("update", "update", "update")
	w.cached = nil
	w.expect("10.0.0.1:8080!", "False/NoEndpoints")
	w.atRest()
	if len(w.r.written.of) > 0 {
		t.Errorf("%v is remembered", w.r.written.of)
	}
	w.cached = w.slices()
	runs(nil)
	runs(host)
	ready(corev1.ConditionTrue)
	wrote("delete", "create", "update")
	w.cached = nil
	w.expect("10.0.0.1:8080", "True/Exposed")
	w.atRest()
	w.cached = w.slices() // somebody else removes it, and the cache does not show that yet
	if err := w.client.Delete(context.Background(), w.cached[0].DeepCopy()); err != nil {
		t.Fatal(err)
	}
	ready(corev1.ConditionFalse)
	w.cached = nil
	w.expect("10.0.0.1:8080!", "False/NoEndpoints")
}

// A slice is replaced also when somebody else was faster, and what others put on it stays.
func TestReconcile_SliceOfOthersToo(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	slice := w.slices()[0]
	slice.Annotations["example.com/note"] = "theirs"
	if err := w.client.Update(context.Background(), &slice); err != nil {
		t.Fatal(err)
	}
	w.stale, w.writes = 1, nil
	pod := w.pod("hosts-0")
	pod.Status.Conditions[0].Status = corev1.ConditionFalse
	if err := w.client.Status().Update(context.Background(), pod); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.expect("10.0.0.1:8080! 10.0.0.2:8080 [fd00::2]:8080", "True/Exposed")
	if want := []string{"update hello-world-http-ipv4-0", "update hello-world-http-ipv4-0"}; !slices.Equal(w.writes, want) {
		t.Errorf("writes = %q, want %q", w.writes, want)
	}
	if got := w.slices()[0].Annotations["example.com/note"]; got != "theirs" {
		t.Errorf("the annotation of somebody else is %q", got)
	}
	w.atRest()
}

// A slice of somebody else that has the name of ours, for instance made by hand, is left alone.
func TestReconcile_ForeignSlicesAreNotTouched(t *testing.T) {
	foreign := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello-world-http-ipv4-0"}, AddressType: discoveryv1.AddressTypeIPv4}
	w := newWorld(t, foreign)
	w.reconcile()
	if c := w.app.Exposed; c == nil || c.Reason != ReasonForeignService {
		t.Fatalf("condition = %+v", c)
	}
	w.message("EndpointSlice hello-world-http-ipv4-0", "remove the EndpointSlice")
	if got := w.slices()[0]; len(got.Labels) > 0 || len(got.Endpoints) > 0 {
		t.Errorf("slice = %+v", got)
	}
}

func TestReconcile_TakesOverAServiceOfWasmCloud(t *testing.T) {
	old := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello-world", Finalizers: []string{v1alpha1.ServiceFieldManager},
		Labels:        map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByOld, v1alpha1.AppNameLabel: "hello-world"},
		ManagedFields: []metav1.ManagedFieldsEntry{}},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.9", Ports: []corev1.ServicePort{{Name: "http", Port: 8080, Protocol: corev1.ProtocolTCP}}}}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello-world",
		Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, discoveryv1.LabelServiceName: "hello-world"}}, AddressType: discoveryv1.AddressTypeIPv4}
	others := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mirrored",
		Labels: map[string]string{discoveryv1.LabelManagedBy: "endpointslicemirroring-controller.k8s.io", discoveryv1.LabelServiceName: "hello-world"}}, AddressType: discoveryv1.AddressTypeIPv4}
	w := newWorld(t, old, slice, others)
	w.reconcile()
	w.expect(bothPods, "True/Exposed")
	if s := w.service(); s.Spec.ClusterIP != "10.96.0.9" || s.Labels[ApplicationUIDLabel] != "app-uid" {
		t.Errorf("service = %+v", s)
	}
	names := ""
	for _, s := range w.slices() {
		names += s.Name + " "
	}
	if want := "hello-world-http-ipv4-0 hello-world-http-ipv6-0 mirrored "; names != want {
		t.Errorf("slices = %q, want %q", names, want)
	}
	w.app = nil
	w.reconcile()
	if s := w.service(); s != nil {
		t.Errorf("the Service is held by %v", s.Finalizers)
	}
}

func TestReconcile_APortEntersWhenItAnswers(t *testing.T) {
	w := newWorld(t)
	w.deaf["10.0.0.1:8080"] = true
	if again := w.reconcile().RequeueAfter; again != dialAgain {
		t.Errorf("looks again after %v", again)
	}
	w.expect("10.0.0.2:8080 [fd00::2]:8080", "True/Exposed")
	w.now = w.now.Add(defaultPatience)
	w.reconcile()
	w.expect(bothPods, "True/PortUnverified")

	w.restart() // what is an endpoint already is not thrown out by a new process
	w.reconcile()
	w.expect(bothPods, "True/Exposed")
	w.atRest()
}

func TestReconcile_AddressesThatServeNobody(t *testing.T) {
	w := newWorld(t)
	w.view.configs["addr"]["address"] = "127.0.0.1:8080"
	w.reconcile()
	w.expect("", "False/ListensOnLoopback")
	w.view.configs["addr"]["address"] = "localhost:8080"
	w.reconcile()
	w.expect("", "False/BadAddress")
	if w.service() != nil {
		t.Error("a Service without port")
	}
}

func TestReconcile_ManyEndpoints(t *testing.T) {
	w := newWorld(t)
	var hosts []Host
	for i := range 150 {
		name := fmt.Sprintf("many-%03d", i)
		hosts = append(hosts, hostOf(name))
		if err := w.client.Create(context.Background(), podNamed(name, fmt.Sprintf("10.1.0.%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	w.view.hosts = map[string][]Host{"hello_world-httpserver": hosts, "hello_world-hello": hosts}
	w.reconcile()
	sizes := ""
	for _, s := range w.slices() {
		sizes += fmt.Sprint(len(s.Endpoints), " ")
	}
	if sizes != "100 50 " {
		t.Errorf("slices of %s", sizes)
	}
}
