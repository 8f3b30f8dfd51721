//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

var applications = schema.GroupVersionResource{Group: "core.oam.dev", Version: "v1beta1", Resource: "applications"}

// Two API replicas; each is killed while an informer may watch through it. The informer sees every application come and
// go once, and nothing twice. (It may list again after a watch that broke, and then knows of a change that another
// followed at once by the other only; so every object is written by this test at two times: the creation, the deletion.)
func TestAnInformerOutlivesReplicas(t *testing.T) {
	t.Cleanup(func() { renewPods(t, "operator") })
	namespace := makeNamespace(t)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	client := dynamic.NewForConfigOrDie(config)
	writer := client.Resource(applications).Namespace(namespace)
	seen := watch(t, client, namespace)

	created := during(t, 0, func(ctx context.Context, number int) error {
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "core.oam.dev/v1beta1", "kind": "Application",
			"metadata": map[string]any{"name": fmt.Sprint("app-", number)}, "spec": map[string]any{"components": []any{}},
		}}
		_, err := writer.Create(ctx, object, metav1.CreateOptions{})
		return err
	})
	eventually(t, time.Minute, fmt.Sprint(created, " creations"), func() error { return seen.complete(seen.added, created) })
	deleted := during(t, 1, func(ctx context.Context, number int) error {
		if number >= created {
			<-ctx.Done()
			return ctx.Err()
		}
		return writer.Delete(ctx, fmt.Sprint("app-", number), metav1.DeleteOptions{})
	})
	eventually(t, time.Minute, fmt.Sprint(deleted, " deletions"), func() error { return seen.complete(seen.deleted, deleted) })
	seen.report(t)
}

// during writes one object after another, kills a replica meanwhile, and returns how many were written once all replicas
// are ready again. A write that was not confirmed is tried again.
func during(t *testing.T, replica int, write func(ctx context.Context, number int) error) int {
	t.Helper()
	awaitSystem(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan int)
	go func() {
		number, failures := 0, 0
		for pace := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-pace.C {
			if err := write(ctx, number); err == nil || known(err) && failures > 0 {
				number, failures = number+1, 0
			} else {
				failures++
			}
		}
		done <- number
	}()
	kill(t, victim{system, "app.kubernetes.io/component=operator", "trellis"}, 2*time.Second, replica)
	awaitSystem(t)
	cancel()
	return <-done
}

// known says that a write before, whose answer was lost, did it.
func known(err error) bool {
	var status interface{ Status() metav1.Status }
	return errors.As(err, &status) && (status.Status().Reason == metav1.StatusReasonAlreadyExists || status.Status().Reason == metav1.StatusReasonNotFound)
}

// journal is what an informer told, by name and by resourceVersion.
type journal struct {
	lock                     sync.Mutex
	added, deleted, versions map[string]int
}

func (j *journal) note(object any, in map[string]int) {
	j.lock.Lock()
	defer j.lock.Unlock()
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	} else {
		j.versions[object.(*unstructured.Unstructured).GetResourceVersion()]++
	}
	if in != nil {
		in[object.(*unstructured.Unstructured).GetName()]++
	}
}

// complete says whether the first objects were all seen.
func (j *journal) complete(in map[string]int, count int) (err error) {
	j.lock.Lock()
	defer j.lock.Unlock()
	for number := range count {
		if in[fmt.Sprint("app-", number)] == 0 {
			err = errors.Join(err, fmt.Errorf("no event for app-%d", number))
		}
	}
	return err
}

func (j *journal) report(t *testing.T) {
	t.Helper()
	j.lock.Lock()
	defer j.lock.Unlock()
	for what, counts := range map[string]map[string]int{"added": j.added, "deleted": j.deleted, "resourceVersion": j.versions} {
		for name, times := range counts {
			if times > 1 {
				t.Errorf("%s %s seen %d times", what, name, times)
			}
		}
	}
	t.Logf("%d added, %d deleted, %d versions", len(j.added), len(j.deleted), len(j.versions))
}

// watch starts an informer on the applications of a namespace.
func watch(t *testing.T, client dynamic.Interface, namespace string) *journal {
	t.Helper()
	j := &journal{added: map[string]int{}, deleted: map[string]int{}, versions: map[string]int{}}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, namespace, nil)
	informer := factory.ForResource(applications).Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { j.note(object, j.added) },
		UpdateFunc: func(before, object any) {
			// A list after a broken watch repeats what the informer knows: that is no event.
			if version(before) != version(object) {
				j.note(object, nil)
			}
		},
		DeleteFunc: func(object any) { j.note(object, j.deleted) },
	}); err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	if !cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("the informer does not begin")
	}
	return j
}

func version(object any) string { return object.(*unstructured.Unstructured).GetResourceVersion() }
