package hostgroup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

// world is a fake API server with a reconciler and a lattice that a test sets.
type world struct {
	t      *testing.T
	client client.Client
	r      *Reconciler
	writes []string
	hosts  []Host
	apps   []App
	now    time.Time
	deaf   error
	issued int
}

func (w *world) Hosts(context.Context, string) ([]Host, error)       { return w.hosts, w.deaf }
func (w *world) Applications(context.Context, string) ([]App, error) { return w.apps, w.deaf }
func (w *world) Issue(group *v1alpha1.WasmCloudHostConfig) ([]byte, error) {
	if group.Spec.Lattice == "locked" {
		return nil, errors.New("the key of the lattice is missing")
	}
	if slices.Contains(publishes(group), "refused") {
		return nil, fmt.Errorf("rights: %w", faultOfSpec{})
	}
	w.issued++
	return fmt.Appendf(nil, "creds %s %s/%s %v %d", group.Spec.Lattice, group.Namespace, group.Name, publishes(group), w.issued), nil
}
func (w *world) Valid(group *v1alpha1.WasmCloudHostConfig, creds []byte) bool {
	return strings.HasPrefix(string(creds), fmt.Sprintf("creds %s %s/%s %v ", group.Spec.Lattice, group.Namespace, group.Name, publishes(group)))
}

func publishes(group *v1alpha1.WasmCloudHostConfig) []string {
	if group.Spec.NATS == nil {
		return nil
	}
	return group.Spec.NATS.Publish
}

type faultOfSpec struct{}

func (faultOfSpec) Error() string { return "spec.nats.publish reaches too far" }
func (faultOfSpec) Field() string { return "spec.nats.publish" }

func newWorld(t *testing.T, hub bool, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	count := func(verb string, object any) { w.writes = append(w.writes, fmt.Sprintf("%s %T", verb, object)) }
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.WasmCloudHostConfig{}, &appsv1.Deployment{}, &appsv1.DaemonSet{}, &corev1.Pod{}).
		WithReturnManagedFields().
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				err := c.Get(ctx, key, o, opts...)
				for i, entry := range o.GetManagedFields() { // the fake does not note by which subresource
					if entry.Manager == "kube-controller-manager" {
						o.GetManagedFields()[i].Subresource = "scale"
					}
				}
				return err
			},
			Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				text, _ := json.Marshal(o)
				count("apply "+string(text), o)
				return c.Apply(ctx, o, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				count("patch", o)
				return c.Patch(ctx, o, p, opts...)
			},
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				count("patch "+sub, o)
				return c.SubResource(sub).Patch(ctx, o, p, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				count("delete", o)
				return c.Delete(ctx, o, opts...)
			},
		}).Build()
	options := Options{Images: Images{Helper: "trellis:1"}, Hosts: w, Applications: w, Client: w.client, Live: w.client,
		Now: func() time.Time { return w.now }}
	if hub {
		options.Hub = Hub{Address: "nats://trellis-nats.trellis-system.svc", LeafPort: 7422, Credentials: w,
			Lattices: map[string][]string{"default": {"*"}, "private": {"team-a"}, "locked": {"*"}}}
	}
	w.r = New(options)
	return w
}

func (w *world) reconcile() reconcile.Result {
	w.t.Helper()
	result, err := w.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "default", Name: "hosts"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

// atRest demands that another look writes nothing.
func (w *world) atRest() {
	w.t.Helper()
	w.writes = nil
	w.reconcile()
	if len(w.writes) > 0 {
		w.t.Errorf("wrote at rest: %v", strings.Join(w.writes, "\n"))
	}
}

func get[T any, P interface {
	*T
	client.Object
}](w *world, name string) P {
	w.t.Helper()
	object := P(new(T))
	if err := w.client.Get(context.Background(), types.NamespacedName{Namespace: "default", Name: name}, object); err != nil {
		w.t.Fatal(err)
	}
	return object
}

func (w *world) condition(name string) string {
	w.t.Helper()
	c := conditions.Find(get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status.Conditions, name)
	if c == nil {
		return "none"
	}
	return string(c.Status) + "/" + c.Reason
}

func (w *world) expect(want map[string]string) {
	w.t.Helper()
	got := map[string]string{}
	for name := range want {
		got[name] = w.condition(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("conditions (-want +got):\n%s\n%+v", diff, get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status.Conditions)
	}
}

// run plays the part of the Deployment controller and of the lattice.
func (w *world) run(ready int) {
	w.t.Helper()
	d := get[appsv1.Deployment](w, "hosts")
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: *d.Spec.Replicas, UpdatedReplicas: *d.Spec.Replicas, ReadyReplicas: int32(ready)}
	if err := w.client.Status().Update(context.Background(), d); err != nil {
		w.t.Fatal(err)
	}
	w.hosts = nil
	for i := range ready {
		name := fmt.Sprintf("hosts-%d", i)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("uid-" + name),
			Labels: d.Spec.Template.Labels}, Spec: corev1.PodSpec{NodeName: "node-1"},
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
		if err := w.client.Create(context.Background(), pod); err != nil && !apierrors.IsAlreadyExists(err) {
			w.t.Fatal(err)
		}
		w.hosts = append(w.hosts, Host{ID: "N" + name, Version: "1.9.2", StartedAt: w.now, Components: 1, Providers: 2,
			Labels: map[string]string{v1alpha1.HostLabelPodUID: "uid-" + name, "kubernetes": "true"}})
	}
}

func TestReconcile_FromNothingToReady(t *testing.T) {
	group := loadGroup(t, minimalGroup)
	group.Finalizers = []string{v1alpha1.FieldManager}
	group.Spec.HostReplicas = new(int32(2))
	w := newWorld(t, true, group)
	w.reconcile()
	w.expect(map[string]string{"Valid": "True/Valid", "Credentials": "True/CredentialsReady", "Workload": "False/RollingOut",
		"Ready": "False/RollingOut", "Reconciling": "True/RollingOut", "Stalled": "none"})
	if got := get[v1alpha1.WasmCloudHostConfig](w, "hosts"); len(got.Finalizers) != 0 {
		t.Errorf("the finalizer of wasmCloud's operator is still there: %v", got.Finalizers)
	}
	if got := string(get[corev1.Secret](w, "hosts-nats").Data["nats.creds"]); got != "creds default default/hosts [] 1" {
		t.Errorf("credentials = %q", got)
	}
	w.atRest()

	w.apps = []App{{"b", "2"}, {"a", "1"}}
	w.run(2)
	w.hosts = append(w.hosts, Host{ID: "Nelsewhere"})
	w.reconcile()
	w.expect(map[string]string{"Workload": "True/PodsReady", "Hosts": "True/HostsConnected", "Ready": "True/Ready", "Reconciling": "none"})
	status := get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status
	if status.Ready != "2/2" || status.HostCount != 2 || status.OtherHostCount != 1 || status.AppCount != 2 || status.Apps[0].Name != "a" {
		t.Errorf("status = %+v", status)
	}
	if h := status.Hosts[0]; h.Pod != "hosts-0" || h.Node != "node-1" || !h.Ready || h.Providers != 2 || h.StartedAt == nil {
		t.Errorf("host = %+v", h)
	}
	w.hosts[0].StartedAt = w.hosts[0].StartedAt.Add(1500 * time.Millisecond) // uptimes tremble
	w.atRest()
}

func TestReconcile_DriftIsMended(t *testing.T) {
	for name, tc := range map[string]struct {
		daemonSet bool
		object    client.Object
		spoil     func(client.Object)
		mended    func(*world) bool
	}{
		"Deployment": {false, &appsv1.Deployment{},
			func(o client.Object) { o.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Image = "x" },
			func(w *world) bool {
				return get[appsv1.Deployment](w, "hosts").Spec.Template.Spec.Containers[0].Image == DefaultHostImage+":1.9.2"
			}},
		"DaemonSet": {true, &appsv1.DaemonSet{},
			func(o client.Object) { o.(*appsv1.DaemonSet).Spec.Template.Spec.Containers[0].Image = "x" },
			func(w *world) bool {
				return get[appsv1.DaemonSet](w, "hosts").Spec.Template.Spec.Containers[0].Image == DefaultHostImage+":1.9.2"
			}},
		"ConfigMap": {false, &corev1.ConfigMap{},
			func(o client.Object) { o.(*corev1.ConfigMap).Data["nats.conf"] = "x" },
			func(w *world) bool { return get[corev1.ConfigMap](w, "hosts").Data["nats.conf"] != "x" }},
		"ServiceAccount": {false, &corev1.ServiceAccount{},
			func(o client.Object) { o.(*corev1.ServiceAccount).AutomountServiceAccountToken = new(true) },
			func(w *world) bool { return !*get[corev1.ServiceAccount](w, "hosts").AutomountServiceAccountToken }},
	} {
		t.Run(name, func(t *testing.T) {
			group := loadGroup(t, minimalGroup)
			asDaemonSet(tc.daemonSet)(group)
			w := newWorld(t, true, group)
			w.reconcile()
			if !w.exists(tc.object) {
				t.Fatal("it was not made")
			}
			tc.spoil(tc.object)
			if err := w.client.Update(context.Background(), tc.object); err != nil {
				t.Fatal(err)
			}
			w.writes = nil
			w.reconcile()
			if !tc.mended(w) {
				t.Errorf("not mended after %v", w.writes)
			}
			w.atRest()
		})
	}
}

func TestReconcile_Problems(t *testing.T) {
	taken := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "hosts", Namespace: "default"}}
	empty := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "default"}}
	tests := map[string]struct {
		change func(*v1alpha1.WasmCloudHostConfigSpec)
		others []client.Object
		want   map[string]string
		says   string
		retry  bool
	}{
		"lattice name": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.Lattice = "a.b" },
			want: map[string]string{"Valid": "False/InvalidLattice", "Ready": "False/InvalidLattice", "Stalled": "True/InvalidLattice"}, says: "spec.lattice"},
		"lattice unknown to the hub": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.Lattice = "other" },
			want: map[string]string{"Valid": "False/LatticeNotPermitted"}, says: "nats.lattices"},
		"lattice of another namespace": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.Lattice = "private" },
			want: map[string]string{"Valid": "False/LatticeNotPermitted"}, says: "nats.lattices[private].namespaces"},
		"key missing": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.Lattice = "locked" }, retry: true,
			want: map[string]string{"Valid": "True/Valid", "Credentials": "False/NoIssuer"}, says: "locked"},
		"too many rights": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.NATS = &v1alpha1.NATS{Publish: []string{"refused"}} },
			want: map[string]string{"Valid": "False/InvalidSpec", "Credentials": "Unknown/Pending", "Stalled": "True/InvalidSpec"}, says: "spec.nats.publish"},
		"Secret missing": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.SecretName = "s" }, retry: true,
			want: map[string]string{"Credentials": "False/SecretNotFound", "Ready": "False/SecretNotFound", "Workload": "Unknown/Pending"}, says: "Secret s"},
		"Secret without key": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.SecretName = "s" }, others: []client.Object{empty}, retry: true,
			want: map[string]string{"Credentials": "False/SecretIncomplete"}, says: "nats.creds"},
		"registry Secret empty": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.RegistryCredentialsSecret = "s" }, others: []client.Object{empty}, retry: true,
			want: map[string]string{"Credentials": "False/SecretIncomplete"}, says: "docker-registry"},
		"authority missing": {retry: true, change: func(s *v1alpha1.WasmCloudHostConfigSpec) {
			s.Certificates = &v1alpha1.Certificates{Authorities: []v1alpha1.CertificateAuthority{{Name: "x", ConfigMap: &v1alpha1.ConfigMapAuthority{Name: "y"}}}}
		}, want: map[string]string{"Credentials": "False/SecretNotFound"}, says: "ConfigMap y"},
		"ConfigMap of someone else": {others: []client.Object{taken}, retry: true,
			want: map[string]string{"Valid": "False/NameTaken", "Workload": "Unknown/Pending"}, says: "ConfigMap hosts"},
		"template": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) {
			s.SchedulingOptions = &v1alpha1.SchedulingOptions{PodTemplateAdditions: raw(`{"volumes":[{"name":"nats-config","emptyDir":{}}]}`)}
		}, want: map[string]string{"Valid": "False/InvalidTemplate"}, says: "nats-config"},
		"wildcard in a topic": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.SecretsTopicPrefix = "a.*" },
			want: map[string]string{"Valid": "False/InvalidSpec"}, says: "secretsTopicPrefix"},
		"policy without topic": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) {
			s.PolicyService = &v1alpha1.PolicyService{TimeoutMs: new(int64(5))}
		}, want: map[string]string{"Valid": "False/InvalidSpec"}, says: "policyService"},
		"pod label that is none": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) {
			s.SchedulingOptions = &v1alpha1.SchedulingOptions{PodLabels: map[string]string{"a b": "c"}}
		}, want: map[string]string{"Valid": "False/InvalidSpec"}, says: "podLabels"},
		"no storage": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) {
			s.NATS = &v1alpha1.NATS{LeafStorage: &v1alpha1.LeafStorage{MaxFileStore: new(resource.MustParse("-1Gi"))}}
		}, want: map[string]string{"Valid": "False/InvalidSpec"}, says: "maxFileStore"},
		"address with port": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.NatsAddress = "nats://x:4222" },
			want: map[string]string{"Valid": "False/InvalidSpec"}, says: "natsLeafnodePort"},
		"address that breaks out": {change: func(s *v1alpha1.WasmCloudHostConfigSpec) { s.NatsAddress = "nats://x\" }\nlisten: 0.0.0.0 #" },
			want: map[string]string{"Valid": "False/InvalidSpec"}, says: "natsAddress"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			group := loadGroup(t, minimalGroup)
			if tc.change != nil {
				tc.change(&group.Spec)
			}
			w := newWorld(t, true, append(tc.others, group)...)
			result := w.reconcile()
			w.expect(tc.want)
			if (result.RequeueAfter > 0) != tc.retry {
				t.Errorf("looks again after %v, want a retry: %v", result.RequeueAfter, tc.retry)
			}
			message := conditions.Find(get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status.Conditions, conditions.Ready).Message
			if !strings.Contains(message, tc.says) {
				t.Errorf("message %q does not name %q", message, tc.says)
			}
			w.atRest()
		})
	}
}

// TestReconcile_RightsChange: other rights are other credentials, which the pods get by a roll; the same ones are kept.
func TestReconcile_RightsChange(t *testing.T) {
	w := newWorld(t, true, loadGroup(t, minimalGroup))
	w.reconcile()
	checksum := func() string {
		return get[appsv1.Deployment](w, "hosts").Spec.Template.Annotations[v1alpha1.ChecksumAnnotation]
	}
	before := checksum()
	group := get[v1alpha1.WasmCloudHostConfig](w, "hosts")
	group.Spec.NATS = &v1alpha1.NATS{Publish: []string{"orders.>"}}
	if err := w.client.Update(context.Background(), group); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if got := string(get[corev1.Secret](w, "hosts-nats").Data["nats.creds"]); got != "creds default default/hosts [orders.>] 2" {
		t.Errorf("credentials = %q", got)
	}
	if checksum() == before {
		t.Error("the pods do not roll")
	}
	w.atRest()
}

func TestReconcile_SecretArrivesAndChanges(t *testing.T) {
	group := loadGroup(t, minimalGroup)
	group.Spec.SecretName = "mine"
	w := newWorld(t, false, group)
	w.reconcile()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: "default"}, Data: map[string][]byte{"nats.creds": []byte("one")}}
	if err := w.client.Create(context.Background(), secret); err != nil {
		t.Fatal(err)
	}
	if result := w.reconcile(); result.RequeueAfter == 0 {
		t.Error("a Secret of the user must be looked at again")
	}
	w.expect(map[string]string{"Credentials": "True/OwnCredentials"})
	one := get[appsv1.Deployment](w, "hosts").Spec.Template.Annotations[v1alpha1.ChecksumAnnotation]
	secret.Data["nats.creds"] = []byte("two")
	if err := w.client.Update(context.Background(), secret); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if two := get[appsv1.Deployment](w, "hosts").Spec.Template.Annotations[v1alpha1.ChecksumAnnotation]; one == two {
		t.Error("changed credentials did not change the pods' checksum")
	}
}

func TestReconcile_LatticeOutOfSightKeepsWhatIsKnown(t *testing.T) {
	w := newWorld(t, true, loadGroup(t, minimalGroup))
	w.reconcile()
	w.run(1)
	w.reconcile()
	w.deaf = errors.New("NATS does not answer")
	w.reconcile()
	w.expect(map[string]string{"Hosts": "Unknown/LatticeNotObserved", "Ready": "Unknown/LatticeNotObserved"})
	if got := get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status.HostCount; got != 1 {
		t.Errorf("hostCount = %d", got)
	}
	w.deaf = fmt.Errorf("ping hosts: %w", ErrLoginRefused)
	w.reconcile()
	w.expect(map[string]string{"Hosts": "False/LoginRefused", "Ready": "False/LoginRefused"})
	w.deaf, w.hosts = nil, nil
	w.reconcile()
	w.expect(map[string]string{"Hosts": "False/HostsMissing"})
}

func TestReconcile_SilentHost(t *testing.T) {
	w := newWorld(t, true, loadGroup(t, minimalGroup))
	w.reconcile()
	w.run(1)
	w.reconcile()
	w.expect(map[string]string{"Hosts": "True/HostsConnected", "Ready": "True/Ready"})
	w.hosts[0].Silent = true
	w.reconcile()
	w.expect(map[string]string{"Hosts": "False/HostsSilent", "Ready": "False/HostsSilent", "Workload": "True/PodsReady"})
	message := conditions.Find(get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status.Conditions, "Hosts").Message
	if !strings.Contains(message, "hosts-0") || !strings.Contains(message, v1alpha1.LeafContainer) {
		t.Errorf("message = %s", message)
	}
	w.atRest()
	w.hosts[0].Silent = false
	w.reconcile()
	w.expect(map[string]string{"Hosts": "True/HostsConnected", "Ready": "True/Ready"})
}

func TestReconcile_DaemonSetWithoutPods(t *testing.T) {
	group := loadGroup(t, minimalGroup)
	asDaemonSet(true)(group)
	w := newWorld(t, true, group)
	w.reconcile()
	ds := get[appsv1.DaemonSet](w, "hosts")
	ds.CreationTimestamp = metav1.NewTime(w.now)
	if err := w.client.Update(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	w.runDaemonSet(3, 0)
	if result := w.reconcile(); result.RequeueAfter == 0 {
		t.Error("nobody looks again")
	}
	w.expect(map[string]string{"Workload": "False/RollingOut"})
	w.now = w.now.Add(10 * time.Second)
	w.reconcile()
	w.expect(map[string]string{"Workload": "False/PodsRefused"})
	w.atRest()
}

// TestStatus_Size: a group of 1,000 hosts in a lattice of 1,000 applications, with names as long as they may be.
func TestStatus_Size(t *testing.T) {
	group := loadGroup(t, minimalGroup)
	w := newWorld(t, true, group)
	var pods []corev1.Pod
	for i := range 1000 {
		pods = append(pods, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%063d", i), UID: types.UID(fmt.Sprint(i))},
			Spec: corev1.PodSpec{NodeName: strings.Repeat("n", 63)}})
		w.hosts = append(w.hosts, Host{ID: fmt.Sprintf("N%055d", i), Name: "wispy-cloud-4821", Version: "1.9.2", StartedAt: w.now,
			Labels: map[string]string{v1alpha1.HostLabelPodUID: fmt.Sprint(i)}})
		w.apps = append(w.apps, App{Name: fmt.Sprintf("%063d", i), Version: strings.Repeat("v", 63)})
	}
	w.reconcile()
	group = get[v1alpha1.WasmCloudHostConfig](w, "hosts")
	w.r.observeHosts(t.Context(), group, pods)
	w.r.observeApps(t.Context(), group)
	if s := group.Status; s.HostCount != 1000 || len(s.Hosts) != v1alpha1.MaxHosts || s.AppCount != 1000 || len(s.Apps) != v1alpha1.MaxApps {
		t.Errorf("%d of %d hosts, %d of %d applications", len(s.Hosts), s.HostCount, len(s.Apps), s.AppCount)
	}
	object, err := json.Marshal(group)
	if err != nil {
		t.Fatal(err)
	}
	if len(object) >= 64<<10 {
		t.Errorf("the object has %d bytes", len(object))
	}
}

func TestReconcile_PodProblems(t *testing.T) {
	waiting := func(container, reason string) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: container, Image: "img:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"}}}}}
	}
	leaf := func(age time.Duration) func(time.Time) corev1.PodStatus {
		return func(now time.Time) corev1.PodStatus {
			return corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: v1alpha1.LeafContainer, Started: new(false),
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-age))}}}}}
		}
	}
	failed := func(at time.Time, code int32) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", FinishedAt: metav1.NewTime(at)}
	}
	ended := func(at time.Time, code int32, state corev1.ContainerState) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "wasmcloud-host", State: state,
			LastTerminationState: corev1.ContainerState{Terminated: failed(at, code)}}}}
	}
	always := func(s corev1.PodStatus) func(time.Time) corev1.PodStatus {
		return func(time.Time) corev1.PodStatus { return s }
	}
	for name, tc := range map[string]struct {
		status func(time.Time) corev1.PodStatus
		want   string
		says   string
		again  bool
	}{
		"ended, the first time": {func(now time.Time) corev1.PodStatus {
			return ended(now, 3, corev1.ContainerState{Terminated: failed(now, 3)})
		},
			"False/CrashLoop", "exit code 3", true},
		"runs anew after a failure": {func(now time.Time) corev1.PodStatus {
			return ended(now, 3, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
		}, "False/CrashLoop", "exit code 3", true},
		"failed an hour ago": {func(now time.Time) corev1.PodStatus {
			return ended(now.Add(-time.Hour), 3, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
		}, "False/RollingOut", "0 of 1", false},
		"ended well": {func(now time.Time) corev1.PodStatus {
			return ended(now, 0, corev1.ContainerState{Terminated: failed(now, 0)})
		},
			"False/RollingOut", "0 of 1", false},
		"evicted": {func(now time.Time) corev1.PodStatus {
			s := ended(now, 137, corev1.ContainerState{Terminated: failed(now, 137)})
			s.Phase = corev1.PodFailed
			return s
		}, "False/RollingOut", "0 of 1", false},
		"image":      {always(waiting("wasmcloud-host", "ImagePullBackOff")), "False/ImagePull", "img:1", false},
		"first pull": {always(waiting("wasmcloud-host", "ErrImagePull")), "False/ImagePull", "img:1", false},
		"crash":      {always(waiting("wasmcloud-host", "CrashLoopBackOff")), "False/CrashLoop", "exit code 2", false},
		"config":     {always(waiting("wasmcloud-host", "CreateContainerConfigError")), "False/CrashLoop", "kubectl describe", false},
		"no node": {always(corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes"}}}),
			"False/Unschedulable", "0/1 nodes", false},
		"leaf, at first":  {leaf(time.Second), "False/RollingOut", "0 of 1", true},
		"leaf, for long":  {leaf(time.Minute), "False/LeafNotConnected", "natsAddress", false},
		"still beginning": {always(waiting("wasmcloud-host", "PodInitializing")), "False/RollingOut", "0 of 1", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, true, loadGroup(t, minimalGroup))
			w.reconcile()
			w.run(0)
			d := get[appsv1.Deployment](w, "hosts")
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "hosts-x", Namespace: "default", Labels: d.Spec.Template.Labels}, Status: tc.status(w.now)}
			if err := w.client.Create(context.Background(), pod); err != nil {
				t.Fatal(err)
			}
			result := w.reconcile()
			w.expect(map[string]string{"Workload": tc.want, "Ready": tc.want})
			if c := conditions.Find(get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status.Conditions, "Workload"); !strings.Contains(c.Message, tc.says) {
				t.Errorf("message = %q", c.Message)
			}
			if (result.RequeueAfter > 0) != tc.again {
				t.Errorf("looks again after %v", result.RequeueAfter)
			}
			w.atRest()
		})
	}
}
