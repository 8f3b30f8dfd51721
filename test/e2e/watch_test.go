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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

var applications = schema.GroupVersionResource{Group: "core.oam.dev", Version: "v1beta1", Resource: "applications"}

// Two API replicas; each is killed while an informer watches through it. The informer sees every event once.
func TestAnInformerOutlivesReplicas(t *testing.T) {
	namespace := makeNamespace(t)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	seen := watch(t, client, namespace)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	written := make(chan map[string]bool)
	go func() { written <- write(ctx, t, client.Resource(applications).Namespace(namespace)) }()
	for number := range 2 {
		awaitSystem(t)
		kill(t, victim{system, "app.kubernetes.io/component=operator", "trellis"}, 2*time.Second, number)
	}
	awaitSystem(t)
	kill(t, victim{system, "app.kubernetes.io/component=nats", "nats"}, 0, 0)
	awaitSystem(t)
	progress := seen.count()
	eventually(t, time.Minute, "events go on", func() error {
		if got := seen.count(); got < progress+20 {
			return fmt.Errorf("%d events; want 20 more than %d", got, progress)
		}
		return nil
	})
	cancel()
	all := <-written
	eventually(t, 30*time.Second, fmt.Sprintf("all of %d events", len(all)), func() error { return seen.missing(all) })
	seen.report(t)
}

// journal is what an informer told.
type journal struct {
	lock     sync.Mutex
	times    map[string]int // by resourceVersion
	repeated []string
}

func (j *journal) add(object any) {
	j.lock.Lock()
	defer j.lock.Unlock()
	version := object.(*unstructured.Unstructured).GetResourceVersion()
	if j.times[version]++; j.times[version] > 1 {
		j.repeated = append(j.repeated, version)
	}
}

func (j *journal) count() int {
	j.lock.Lock()
	defer j.lock.Unlock()
	return len(j.times)
}

func (j *journal) missing(versions map[string]bool) (err error) {
	j.lock.Lock()
	defer j.lock.Unlock()
	for version := range versions {
		if j.times[version] == 0 {
			err = errors.Join(err, fmt.Errorf("no event for resourceVersion %s", version))
		}
	}
	return err
}

func (j *journal) report(t *testing.T) {
	t.Helper()
	j.lock.Lock()
	defer j.lock.Unlock()
	if len(j.repeated) > 0 {
		t.Errorf("seen more than once: resourceVersions %v", j.repeated)
	}
	t.Logf("%d events", len(j.times))
}

// watch starts an informer on the applications of a namespace.
func watch(t *testing.T, client dynamic.Interface, namespace string) *journal {
	t.Helper()
	j := &journal{times: map[string]int{}}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, namespace, nil)
	informer := factory.ForResource(applications).Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    j.add,
		UpdateFunc: func(_, object any) { j.add(object) },
	}); err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	if !cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("the informer does not begin")
	}
	return j
}

// write makes applications and changes them until the context ends; it returns the versions that the API confirmed. A
// refused write is tried again.
func write(ctx context.Context, t *testing.T, client dynamic.ResourceInterface) map[string]bool {
	versions := map[string]bool{}
	failures := 0
	for number := 0; ctx.Err() == nil; number++ {
		name := fmt.Sprint("app-", number%5)
		patch := fmt.Sprintf(`{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"name":%q,"annotations":{"e2e":"%d"}},"spec":{"components":[]}}`, name, number)
		force := true
		object, err := client.Patch(ctx, name, types.ApplyPatchType, []byte(patch), metav1.PatchOptions{FieldManager: "e2e", Force: &force})
		if err != nil {
			failures++
			continue
		}
		versions[object.GetResourceVersion()] = true
	}
	t.Logf("%d writes, %d more without an answer", len(versions), failures)
	return versions
}
