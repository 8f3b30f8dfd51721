//go:build conformance && linux

package conformance

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the controllers of Kubernetes do with objects of the kind.

func checkNamespaces(r *transcript) {
	ctx := r.t.Context()
	other := r.namespace + "-x"
	r.makeNamespace(r.t, other)
	inOther := func(method, rest string, body any, headers ...string) *answer {
		a, err := r.send(ctx, method, "/apis/"+r.kind.group+"/v1beta1/namespaces/"+other+"/applications"+rest, body, headers...)
		if err != nil {
			r.t.Fatal(err)
		}
		return a
	}
	for _, name := range []string{"free", "held"} {
		if a := inOther(http.MethodPost, "", r.app(name)); a.code != http.StatusCreated {
			r.t.Fatal(a)
		}
	}
	inOther(http.MethodPatch, "/held", `{"metadata":{"finalizers":["example.com/a"]}}`, mergePatch)
	began := time.Now()
	if err := r.kube.CoreV1().Namespaces().Delete(ctx, other, metav1.DeleteOptions{}); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "the namespace controller deletes "+other, func() string {
		if left := names(inOther(http.MethodGet, "", nil)); left != "[held]" {
			return left
		}
		return ""
	})
	r.note("what has a finalizer waits", text(inOther(http.MethodGet, "/held", nil).object, "metadata", "deletionTimestamp") != "")
	refused := inOther(http.MethodPost, "", r.app("late"))
	r.note("create in a terminating namespace", refused)
	r.note("its causes", fmt.Sprint(at(refused.object, "details", "causes")))
	r.note("apply in a terminating namespace", inOther(http.MethodPatch, "/late?fieldManager=x", r.app("late"), applyPatch))
	r.note("update in a terminating namespace", inOther(http.MethodPatch, "/held", `{"metadata":{"labels":{"a":"b"}}}`, mergePatch).code)
	inOther(http.MethodPatch, "/held", `{"metadata":{"finalizers":null}}`, mergePatch)
	eventually(r.t, other+" is gone", func() string {
		if _, err := r.kube.CoreV1().Namespaces().Get(ctx, other, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Sprint("it is there: ", err)
		}
		return ""
	})
	r.t.Logf("%s: the namespace was gone after %s", r.kind.name, time.Since(began).Round(100*time.Millisecond))
	missing := inOther(http.MethodPost, "", r.app("late"))
	r.note("create in a namespace that is not there", missing)
	r.note("apply in a namespace that is not there", inOther(http.MethodPatch, "/late?fieldManager=x", r.app("late"), applyPatch))
	r.note("list of a namespace that is not there", names(inOther(http.MethodGet, "", nil)))
}

func checkQuota(r *transcript) {
	ctx := r.t.Context()
	counted := corev1.ResourceName("count/applications." + r.kind.group)
	quotas := r.kube.CoreV1().ResourceQuotas(r.namespace)
	countedQuota(r.t, r.client, r.namespace, "two", counted, 2)
	used := func() string {
		found, err := quotas.Get(ctx, "two", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		q := found.Status.Used[counted]
		return q.String()
	}
	r.ask("the first", http.MethodPost, "", r.app("one"))
	r.ask("dry run", http.MethodPost, "?dryRun=All", r.app("dry"))
	r.ask("the second, by apply", http.MethodPatch, "/two?fieldManager=x", r.app("two"), applyPatch)
	r.ask("the third", http.MethodPost, "", r.app("three"))
	r.ask("the third, by apply", http.MethodPatch, "/three?fieldManager=x", r.app("three"), applyPatch)
	r.note("an update", r.do(http.MethodPatch, "/one", `{"metadata":{"labels":{"a":"b"}}}`, mergePatch).code)
	r.note("used", used())
	r.must(http.MethodDelete, "/one", nil)
	eventually(r.t, "a deletion makes room", func() string {
		if n := used(); n != "1" {
			return "used " + n
		}
		return ""
	})
	r.ask("the third, after a deletion", http.MethodPost, "", r.app("three"))
}

// countedQuota makes a quota and waits until its controller has counted. The controller looks for new kinds every 30 seconds,
// and at a quota whose kind it did not know much later: so it is made anew.
func countedQuota(t *testing.T, c *client, namespace, name string, counted corev1.ResourceName, most int64) {
	t.Helper()
	ctx, quotas := t.Context(), c.kube.CoreV1().ResourceQuotas(namespace)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{counted: *resource.NewQuantity(most, resource.DecimalSI)}}}
	eventually(t, "the quota is counted", func() string {
		if err := quotas.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err.Error()
		}
		if _, err := quotas.Create(ctx, quota, metav1.CreateOptions{}); err != nil {
			return err.Error()
		}
		for range 10 {
			time.Sleep(interval)
			found, err := quotas.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err.Error()
			}
			if _, ok := found.Status.Used[counted]; ok {
				return ""
			}
		}
		return "its status is empty"
	})
}

func checkGarbage(r *transcript) {
	ctx := r.t.Context()
	maps := r.kube.CoreV1().ConfigMaps(r.namespace)
	owner, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	owned := func(o map[string]any) {
		set([]any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": string(owner.UID)}}, "metadata", "ownerReferences")(o)
	}
	r.must(http.MethodPost, "", r.app("owned", owned))
	for _, name := range []string{"background", "foreground", "orphan", "default"} {
		app := r.must(http.MethodPost, "", r.app(name))
		block := true
		dependent := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "of-" + name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: r.kind.group + "/" + version, Kind: "Application", Name: name, UID: uidOf(app), BlockOwnerDeletion: &block,
		}}}}
		if _, err := maps.Create(ctx, dependent, metav1.CreateOptions{}); err != nil {
			r.t.Fatal(err)
		}
	}
	there := func(name string) string {
		_, err := maps.Get(ctx, name, metav1.GetOptions{})
		return string(apierrors.ReasonForError(err))
	}
	for name, policy := range map[string]string{"background": "Background", "foreground": "Foreground", "orphan": "Orphan"} {
		deleted := r.do(http.MethodDelete, "/"+name, options("propagationPolicy", policy))
		r.note(name, deleted)
		r.note(name+": finalizers", fmt.Sprint(at(deleted.object, "metadata", "finalizers")))
	}
	r.note("default", r.do(http.MethodDelete, "/default", nil))
	for _, name := range []string{"background", "foreground", "default"} {
		eventually(r.t, "the dependent of "+name+" goes with it", func() string {
			if there("of-"+name) != string(metav1.StatusReasonNotFound) {
				return "it is there"
			}
			return ""
		})
	}
	eventually(r.t, "all deleted applications are gone", func() string {
		if left := names(r.do(http.MethodGet, "", nil)); left != "[owned]" {
			return left
		}
		return ""
	})
	orphan, err := maps.Get(ctx, "of-orphan", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.note("an orphan stays, without owner", len(orphan.OwnerReferences))
	if err := maps.Delete(ctx, "owner", metav1.DeleteOptions{}); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "an application goes with its owner", func() string {
		if left := names(r.do(http.MethodGet, "", nil)); left != "[]" {
			return left
		}
		return ""
	})
	r.note("everything went as it should", true)
}
