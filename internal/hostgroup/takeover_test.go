package hostgroup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

// takeOver is a world in which wasmCloud's operator made the group and its Deployment, under the given field manager.
func takeOver(t *testing.T, name, manager string) *world {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/v1", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	whc, deployment, _ := strings.Cut(string(text), "\n---\n")
	group := loadGroup(t, whc)
	w := newWorld(t, false, group, secretOf(nil),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "edge-nats"}, Data: map[string][]byte{"nats.creds": []byte("x")}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "extra-ca"}, Data: map[string][]byte{"ca.crt": []byte("x")}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "corp-ca"}, Data: map[string]string{"a.crt": "x"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "registry"}, Data: map[string][]byte{
			corev1.DockerConfigJsonKey: []byte(`{"auths":{"registry.example.com":{"username":"u","password":"p"}}}`)}})
	w.applyAs(manager, strings.ReplaceAll(deployment, "UID", string(group.UID)))
	return w
}

func (w *world) applyAs(manager, text string) {
	w.t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		w.t.Fatal(err)
	}
	if err := w.client.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(manager)); err != nil {
		w.t.Fatal(err)
	}
	w.writes = nil
}

// oldPods plays pods of wasmCloud's operator, and their hosts, which know no pod.
func (w *world) oldPods(pods, hosts int) {
	w.t.Helper()
	d := get[appsv1.Deployment](w, "hosts")
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: int32(pods), UpdatedReplicas: int32(pods), ReadyReplicas: int32(pods)}
	if err := w.client.Status().Update(context.Background(), d); err != nil {
		w.t.Fatal(err)
	}
	for i := range pods {
		name := fmt.Sprintf("hosts-%d", i)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name), Labels: d.Spec.Template.Labels},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
		if err := w.client.Create(context.Background(), pod); err != nil {
			w.t.Fatal(err)
		}
	}
	w.hosts = []Host{{ID: "Nlaptop", Labels: map[string]string{"zone": "edge"}}} // not in Kubernetes
	for i := range hosts {
		w.hosts = append(w.hosts, Host{ID: fmt.Sprintf("N%d", i), StartedAt: w.now, Labels: map[string]string{"kubernetes": "true", "zone": "edge"}})
	}
}

func TestTakeOver(t *testing.T) {
	for _, name := range []string{"minimal", "full"} {
		t.Run(name, func(t *testing.T) {
			w := takeOver(t, name, v1alpha1.FieldManager)
			pods := int(*get[appsv1.Deployment](w, "hosts").Spec.Replicas)
			w.oldPods(pods, pods+1)
			before := get[appsv1.Deployment](w, "hosts")
			w.reconcile()
			after := get[appsv1.Deployment](w, "hosts")
			if diff := cmp.Diff(before.Spec, after.Spec); diff != "" {
				t.Errorf("the Deployment was changed (-before +after):\n%s", diff)
			}
			w.expect(map[string]string{"TemplateOutdated": "True/MadeByWasmCloudOperator", "Valid": "True/Valid",
				"OrphanedWorkload": "none", "Hosts": "True/HostsConnected", "Ready": "True/Ready"})
			group := get[v1alpha1.WasmCloudHostConfig](w, "hosts")
			if len(group.Finalizers) != 0 {
				t.Errorf("finalizers = %v", group.Finalizers)
			}
			message := conditions.Find(group.Status.Conditions, v1alpha1.ConditionTemplateOutdated).Message
			for _, lacks := range []string{"labels that join", "probes", "127.0.0.1", "restricted pod security", "API token", v1alpha1.AdoptAnnotation} {
				if !strings.Contains(message, lacks) {
					t.Errorf("the message does not name %q: %s", lacks, message)
				}
			}
			if s := group.Status; int(s.HostCount) != pods || s.OtherHostCount != 2 || s.Hosts[0].Pod != "" || !s.Hosts[0].Ready {
				t.Errorf("hosts = %d, others = %d: %+v", s.HostCount, s.OtherHostCount, s.Hosts)
			}
			w.atRest()

			w.hosts = w.hosts[:pods] // one of them is the laptop's
			w.reconcile()
			w.expect(map[string]string{"Hosts": "False/HostsMissing"})
		})
	}
}

// TestTakeOver_Roll: what the old operator owned and Trellis does not want goes, whatever its field manager was called.
func TestTakeOver_Roll(t *testing.T) {
	for _, name := range []string{"minimal", "full"} {
		for _, manager := range append([]string{v1alpha1.FieldManager}, oldManagers...) {
			t.Run(name+" of "+manager, func(t *testing.T) {
				w := takeOver(t, name, manager)
				w.change(func(g *v1alpha1.WasmCloudHostConfig) {
					g.Annotations = map[string]string{v1alpha1.AdoptAnnotation: v1alpha1.AdoptRoll}
				})
				w.reconcile()
				w.expect(map[string]string{"TemplateOutdated": "none", "Valid": "True/Valid", "Credentials": w.condition("Credentials")})
				d := get[appsv1.Deployment](w, "hosts")
				pod := d.Spec.Template.Spec
				if len(pod.Containers) != 1 || len(pod.Containers[0].Command) != 0 || len(pod.InitContainers) != 2 {
					t.Errorf("containers = %+v", pod.Containers)
				}
				for _, v := range pod.Volumes {
					if v.Name == "nats-creds" || v.Name == leafVolume && v.ConfigMap != nil {
						t.Errorf("a volume of the old template stays: %+v", v)
					}
				}
				if d.Labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedBy {
					t.Errorf("labels = %v", d.Labels)
				}
				for _, entry := range d.ManagedFields {
					if slices.Contains(oldManagers, entry.Manager) {
						t.Errorf("%s still owns fields", entry.Manager)
					}
				}
				w.atRest()
			})
		}
	}
}

// TestTakeOver_Orphan: wasmCloud's operator leaves the other kind running when daemonset is changed.
func TestTakeOver_Orphan(t *testing.T) {
	w := takeOver(t, "minimal", v1alpha1.FieldManager)
	text, err := os.ReadFile("testdata/v1/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, orphan, _ := strings.Cut(string(text), "\n---\n")
	orphan = strings.NewReplacer("kind: Deployment", "kind: DaemonSet", "  replicas: 1\n", "", "UID", string(loadGroup(t, minimalGroup).UID)).Replace(orphan)
	w.applyAs(v1alpha1.FieldManager, orphan)
	w.oldPods(1, 1)
	w.reconcile()
	w.expect(map[string]string{"OrphanedWorkload": "True/LeftByWasmCloudOperator", "TemplateOutdated": "True/MadeByWasmCloudOperator", "Ready": "True/Ready"})
	message := conditions.Find(get[v1alpha1.WasmCloudHostConfig](w, "hosts").Status.Conditions, v1alpha1.ConditionOrphanedWorkload).Message
	if !strings.Contains(message, "kubectl delete daemonset hosts") || !strings.Contains(message, v1alpha1.AdoptAnnotation) {
		t.Errorf("message = %s", message)
	}
	w.atRest()
	if !w.exists(&appsv1.DaemonSet{}) {
		t.Fatal("the orphan was removed unasked")
	}

	w.run(0) // the fake keeps no generations: what comes next is not ready yet
	w.change(func(g *v1alpha1.WasmCloudHostConfig) {
		g.Annotations = map[string]string{v1alpha1.AdoptAnnotation: v1alpha1.AdoptRoll}
	})
	w.reconcile()
	w.expect(map[string]string{"OrphanedWorkload": "none"})
	if !w.exists(&appsv1.DaemonSet{}) {
		t.Fatal("the orphan went before the new pods were ready")
	}
	w.run(1)
	w.reconcile()
	if w.exists(&appsv1.DaemonSet{}) {
		t.Error("the orphan stays after the roll that the user asked for")
	}
	w.atRest()
}

// TestTakeOver_OrphanOfNobody: a workload without owner is never removed.
func TestTakeOver_OrphanOfNobody(t *testing.T) {
	labels := map[string]string{v1alpha1.AppNameLabel: v1alpha1.AppName, v1alpha1.ManagedByLabel: v1alpha1.ManagedByOld}
	w := newWorld(t, true, loadGroup(t, minimalGroup), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hosts", Labels: labels}})
	w.reconcile()
	w.run(1)
	w.reconcile()
	w.expect(map[string]string{"OrphanedWorkload": "True/LeftByWasmCloudOperator", "Workload": "True/PodsReady"})
	if !w.exists(&appsv1.DaemonSet{}) {
		t.Error("it was removed")
	}
	w.atRest()
}
