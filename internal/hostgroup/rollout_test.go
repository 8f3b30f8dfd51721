package hostgroup

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

func TestRollout(t *testing.T) {
	one, none, half := intstr.FromInt32(1), intstr.FromInt32(0), intstr.FromString("50%")
	for name, tc := range map[string]struct {
		rollout    *v1alpha1.Rollout
		deployment *appsv1.RollingUpdateDeployment
		daemonSet  *appsv1.RollingUpdateDaemonSet
	}{
		"left open": {nil, nil, nil},
		"surge of a DaemonSet excludes missing ones": {&v1alpha1.Rollout{MaxSurge: &half},
			&appsv1.RollingUpdateDeployment{MaxSurge: &half}, &appsv1.RollingUpdateDaemonSet{MaxSurge: &half, MaxUnavailable: &none}},
		"no surge": {&v1alpha1.Rollout{MaxSurge: &none, MaxUnavailable: &one},
			&appsv1.RollingUpdateDeployment{MaxSurge: &none, MaxUnavailable: &one}, &appsv1.RollingUpdateDaemonSet{MaxSurge: &none, MaxUnavailable: &one}},
	} {
		if diff := cmp.Diff(tc.deployment, deploymentStrategy(tc.rollout).RollingUpdate); diff != "" {
			t.Errorf("%s, Deployment (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tc.daemonSet, daemonSetStrategy(tc.rollout).RollingUpdate); diff != "" {
			t.Errorf("%s, DaemonSet (-want +got):\n%s", name, diff)
		}
	}
}

// exists says whether the object of the group is there.
func (w *world) exists(object client.Object) bool {
	w.t.Helper()
	err := w.client.Get(context.Background(), types.NamespacedName{Namespace: "default", Name: "hosts"}, object)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return err == nil
}

// change edits the spec as a user does.
func (w *world) change(edit func(*v1alpha1.WasmCloudHostConfig)) {
	w.t.Helper()
	group := get[v1alpha1.WasmCloudHostConfig](w, "hosts")
	edit(group)
	if err := w.client.Update(context.Background(), group); err != nil {
		w.t.Fatal(err)
	}
}

func TestReconcile_Budget(t *testing.T) {
	w := newWorld(t, true, loadGroup(t, minimalGroup))
	w.reconcile()
	if w.exists(&policyv1.PodDisruptionBudget{}) {
		t.Error("a single host has a budget")
	}
	w.change(func(g *v1alpha1.WasmCloudHostConfig) { g.Spec.HostReplicas = new(int32(3)) })
	w.reconcile()
	if got := get[policyv1.PodDisruptionBudget](w, "hosts").Spec; got.MaxUnavailable.IntValue() != 1 || got.MinAvailable != nil {
		t.Errorf("budget = %+v", got)
	}
	w.atRest()
	w.change(func(g *v1alpha1.WasmCloudHostConfig) {
		g.Spec.SchedulingOptions = &v1alpha1.SchedulingOptions{PodDisruptionBudget: &v1alpha1.PodDisruptionBudget{MinAvailable: new(intstr.FromString("60%"))}}
	})
	w.reconcile()
	if got := get[policyv1.PodDisruptionBudget](w, "hosts").Spec; got.MaxUnavailable != nil || got.MinAvailable.String() != "60%" {
		t.Errorf("budget = %+v", got)
	}
	w.atRest()
	w.change(func(g *v1alpha1.WasmCloudHostConfig) {
		g.Spec.SchedulingOptions.PodDisruptionBudget = &v1alpha1.PodDisruptionBudget{Enabled: new(false)}
	})
	w.reconcile()
	if w.exists(&policyv1.PodDisruptionBudget{}) {
		t.Error("the budget stays though it was switched off")
	}
	w.atRest()
}

func TestReconcile_BudgetOfSomeoneElseStays(t *testing.T) {
	foreign := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hosts"}}
	w := newWorld(t, true, loadGroup(t, minimalGroup), foreign)
	w.reconcile()
	if !w.exists(&policyv1.PodDisruptionBudget{}) {
		t.Error("the budget of someone else is gone")
	}
	w.change(func(g *v1alpha1.WasmCloudHostConfig) { g.Spec.HostReplicas = new(int32(2)) })
	w.reconcile()
	w.expect(map[string]string{"Valid": "False/NameTaken"})
}

func asDaemonSet(on bool) func(*v1alpha1.WasmCloudHostConfig) {
	return func(g *v1alpha1.WasmCloudHostConfig) {
		g.Spec.SchedulingOptions = &v1alpha1.SchedulingOptions{Daemonset: on}
	}
}

// runDaemonSet plays the part of the DaemonSet controller.
func (w *world) runDaemonSet(wanted, ready int32) {
	w.t.Helper()
	ds := get[appsv1.DaemonSet](w, "hosts")
	ds.Status = appsv1.DaemonSetStatus{ObservedGeneration: max(ds.Generation, 1), DesiredNumberScheduled: wanted,
		CurrentNumberScheduled: wanted, UpdatedNumberScheduled: wanted, NumberReady: ready}
	if err := w.client.Status().Update(context.Background(), ds); err != nil {
		w.t.Fatal(err)
	}
}

// TestSwitch_WithoutGap goes back and forth, with a crash after the new kind was made: one kind is ready at any time.
func TestSwitch_WithoutGap(t *testing.T) {
	group := loadGroup(t, minimalGroup)
	group.Spec.HostReplicas = new(int32(2))
	w := newWorld(t, true, group)
	w.reconcile()
	w.run(2)
	w.change(asDaemonSet(true))
	w.reconcile()
	if w.exists(&policyv1.PodDisruptionBudget{}) {
		t.Error("the budget counts pods of a DaemonSet")
	}
	w.runDaemonSet(0, 0)
	w.reconcile()
	if !w.exists(&appsv1.Deployment{}) {
		t.Fatal("a DaemonSet without a node replaced the Deployment")
	}
	w.runDaemonSet(2, 1)
	w.r = New(w.r.options) // a crash: what the new process knows is what the API says
	w.reconcile()
	if !w.exists(&appsv1.Deployment{}) {
		t.Fatal("the Deployment went before the DaemonSet was ready")
	}
	w.atRest()

	w.change(asDaemonSet(false)) // back before it was done
	w.reconcile()
	if w.exists(&appsv1.DaemonSet{}) || !w.exists(&appsv1.Deployment{}) {
		t.Error("back at the Deployment, which was ready all the time, the DaemonSet stays")
	}
	w.reconcile()
	if !w.exists(&policyv1.PodDisruptionBudget{}) {
		t.Error("there is no budget again")
	}
	w.atRest()

	w.change(asDaemonSet(true))
	w.reconcile()
	w.runDaemonSet(2, 2)
	w.reconcile()
	if w.exists(&appsv1.Deployment{}) {
		t.Error("the Deployment stays though the DaemonSet is ready")
	}
	w.reconcile()
	w.atRest()
}

// staleReader shows what was there, as a cache does a moment after a removal.
type staleReader struct {
	client.Client
	shows *appsv1.Deployment
}

func (s staleReader) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if d, is := into.(*appsv1.Deployment); is {
		s.shows.DeepCopyInto(d)
		return nil
	}
	return s.Client.Get(ctx, key, into, opts...)
}

// TestSwitch_StaleCache: the kind is changed back while the cache still shows the Deployment that was just removed.
func TestSwitch_StaleCache(t *testing.T) {
	w := newWorld(t, true, loadGroup(t, minimalGroup))
	w.reconcile()
	w.run(1)
	before := get[appsv1.Deployment](w, "hosts")
	w.change(asDaemonSet(true))
	w.reconcile()
	w.runDaemonSet(1, 1)
	w.reconcile()
	if w.exists(&appsv1.Deployment{}) {
		t.Fatal("the Deployment stays")
	}
	w.change(asDaemonSet(false))
	fresh := w.r.options.Client
	w.r.options.Client = staleReader{fresh, before}
	w.reconcile()
	if !w.exists(&appsv1.DaemonSet{}) {
		t.Fatal("the DaemonSet went for a Deployment that is not there")
	}
	w.r.options.Client = fresh
	w.reconcile()
	if !w.exists(&appsv1.Deployment{}) || !w.exists(&appsv1.DaemonSet{}) {
		t.Error("the new Deployment is not made beside the DaemonSet")
	}
}

// scale plays whoever changes the scale of the Deployment.
func (w *world) scale(manager string, replicas int32) {
	w.t.Helper()
	body := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	err := w.client.SubResource("scale").Update(context.Background(), get[appsv1.Deployment](w, "hosts"), client.WithSubResourceBody(body), client.FieldOwner(manager))
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestReconcile_WhoScales(t *testing.T) {
	w := newWorld(t, true, loadGroup(t, minimalGroup))
	w.reconcile()
	replicas := func(want int32, who string) {
		t.Helper()
		w.reconcile()
		if got := *get[appsv1.Deployment](w, "hosts").Spec.Replicas; got != want {
			t.Errorf("%s: %d replicas, want %d", who, got, want)
		}
		w.atRest()
	}
	w.change(func(g *v1alpha1.WasmCloudHostConfig) { g.Spec.HostReplicas = new(int32(2)) })
	replicas(2, "an autoscaler or kubectl scale of the group")
	w.scale("kubectl", 5)
	replicas(2, "kubectl scale of the Deployment: the group wins")
	w.scale("kube-controller-manager", 7)
	replicas(7, "an autoscaler of the Deployment")
	w.change(func(g *v1alpha1.WasmCloudHostConfig) { g.Spec.HostReplicas = new(int32(1)); g.Spec.LogLevel = "DEBUG" })
	replicas(7, "another change of the spec")
	if !w.exists(&policyv1.PodDisruptionBudget{}) {
		t.Error("seven hosts have no budget because the spec says one")
	}
	if got := get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status.Ready; got != "0/7" {
		t.Errorf("ready = %s", got)
	}
	w.scale("kubectl", 3)
	replicas(1, "kubectl scale of the Deployment after the autoscaler: the group again")
}

func TestReconcile_Logins(t *testing.T) {
	seed, _ := newSeed(t)
	for name, tc := range map[string]struct {
		data map[string]string
		made string // key of the Secret that Trellis makes
	}{
		"file":          {map[string]string{"nats.creds": "x"}, ""},
		"JWT and seed":  {map[string]string{"user.jwt": "a.b.c", "user.nk": seed}, "nats.creds"},
		"seed":          {map[string]string{"user.nk": seed}, "remote.conf"},
		"user":          {map[string]string{"username": "u", "password": "secret"}, "remote.conf"},
		"user and more": {map[string]string{"username": "u", "password": "secret", "ca.crt": "x"}, "remote.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			group := loadGroup(t, minimalGroup)
			group.Spec.SecretName = "mine"
			group.Spec.NATS = &v1alpha1.NATS{Addresses: []string{"tls://a", "tls://b/"}}
			w := newWorld(t, true, group, secretOf(tc.data))
			w.reconcile()
			w.expect(map[string]string{"Valid": "True/Valid", "Credentials": "True/OwnCredentials"})
			mounted := "mine"
			if tc.made != "" {
				mounted = "hosts-nats-login"
				if len(get[corev1.Secret](w, mounted).Data[tc.made]) == 0 {
					t.Errorf("the Secret has no %s", tc.made)
				}
			}
			sources := get[appsv1.Deployment](w, "hosts").Spec.Template.Spec.Volumes[0].Projected.Sources
			if len(sources) != 2 || sources[1].Secret.Name != mounted {
				t.Errorf("mounted: %+v", sources)
			}
			w.atRest()

			access, err := ReadAccess(t.Context(), w.client, group)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"tls://a:4222", "tls://b:4222"}, access.URLs); diff != "" {
				t.Errorf("addresses of the operator (-want +got):\n%s", diff)
			}
			if (len(access.Login.Creds) > 0) != (tc.made != "remote.conf") || access.Login.User != tc.data["username"] {
				t.Errorf("the operator logs in with %+v", access.Login)
			}
		})
	}
}

func TestReconcile_HubCertificates(t *testing.T) {
	group := loadGroup(t, minimalGroup)
	group.Spec.NatsAddress = "nats://hub"
	group.Spec.NATS = &v1alpha1.NATS{TLS: &v1alpha1.NATSTLS{CertificateAuthority: &v1alpha1.HubAuthority{ConfigMapName: "ca"}, CertificateSecret: "mine"}}
	w := newWorld(t, true, group)
	create := func(object client.Object) {
		t.Helper()
		if err := w.client.Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		w.reconcile()
	}
	w.reconcile()
	w.expect(map[string]string{"Credentials": "False/SecretNotFound"})
	ca := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "ca"}, Data: map[string]string{"ca.crt": "one"}}
	create(ca)
	w.expect(map[string]string{"Credentials": "False/SecretNotFound"})
	create(secretOf(map[string]string{"tls.crt": "c"}))
	w.expect(map[string]string{"Credentials": "False/SecretIncomplete"})
	if err := w.client.Update(t.Context(), secretOf(map[string]string{"tls.crt": "c", "tls.key": "k"})); err != nil {
		t.Fatal(err)
	}
	if w.reconcile().RequeueAfter == 0 {
		t.Error("certificates of the user must be looked at again")
	}
	w.expect(map[string]string{"Credentials": "True/NoCredentials"})
	checksum := func() string {
		return get[appsv1.Deployment](w, "hosts").Spec.Template.Annotations[v1alpha1.ChecksumAnnotation]
	}
	before := checksum()
	ca.Data["ca.crt"] = "two"
	if err := w.client.Update(t.Context(), ca); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if checksum() == before {
		t.Error("a new authority does not roll the pods")
	}
	w.atRest()
}
