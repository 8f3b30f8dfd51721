//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// All replicas start anew while NATS is away: discovery comes back all the same, because deletion of namespaces and
// garbage collection, of the whole cluster, wait for it.
func TestDiscoveryReturnsWithoutNATS(t *testing.T) {
	stopNATS(t)
	kubectl(t, "delete", "pods", "-n", system, "-l", "app.kubernetes.io/component=operator", "--wait=true", "--timeout=60s")
	eventually(t, 20*time.Second, "discovery is back", func() error {
		_, err := try(t, "", "get", "--raw", "/apis/core.oam.dev/v1beta1")
		return err
	})
}

// A client that keeps asking does not notice a rolling restart: no answer says that it should come back later.
func TestARollingRestart(t *testing.T) {
	awaitSystem(t)
	namespace := makeNamespace(t)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	// client-go asks again by itself where an answer says so; here every answer counts.
	answered := &refusals{}
	config.Wrap(answered.count)
	client := dynamic.NewForConfigOrDie(config).Resource(applications).Namespace(namespace)
	asked := keepAsking(t, client, func() {
		kubectl(t, "rollout", "restart", "deployment/trellis", "-n", system)
		kubectl(t, "rollout", "status", "deployment/trellis", "-n", system, "--timeout=110s")
		kubectl(t, "wait", "pods", "-n", system, "-l", "app.kubernetes.io/component=operator", "--for=condition=Ready", "--timeout=60s")
	})
	if late := answered.total.Load(); late > 0 {
		t.Errorf("%d answers 429 or 503 of %d requests", late, asked)
	}
	t.Logf("%d requests", asked)
}

// refusals counts the answers that tell a client to come back later.
type refusals struct{ total atomic.Int64 }

func (r *refusals) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil && (response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusServiceUnavailable) {
			r.total.Add(1)
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// keepAsking reads, lists and writes without a pause, at some distance, until f has returned; each must succeed.
func keepAsking(t *testing.T, client dynamic.ResourceInterface, f func()) (asked int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var lock sync.Mutex
	failures := map[string]int{}
	count := func(verb string, err error) {
		lock.Lock()
		defer lock.Unlock()
		asked++
		if err != nil && !errors.Is(err, context.Canceled) && ctx.Err() == nil {
			failures[fmt.Sprintf("%s: %s: %v", verb, apierrors.ReasonForError(err), err)]++
		}
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			pace := time.NewTicker(25 * time.Millisecond)
			defer pace.Stop()
			for number := 0; ctx.Err() == nil; number++ {
				name := fmt.Sprintf("app-%d-%d", worker, number)
				object := &unstructured.Unstructured{Object: map[string]any{
					"apiVersion": "core.oam.dev/v1beta1", "kind": "Application",
					"metadata": map[string]any{"name": name}, "spec": map[string]any{"components": []any{}},
				}}
				_, err := client.Create(ctx, object, metav1.CreateOptions{})
				count("create", err)
				_, err = client.Get(ctx, name, metav1.GetOptions{})
				count("get", err)
				_, err = client.List(ctx, metav1.ListOptions{Limit: 10})
				count("list", err)
				count("delete", client.Delete(ctx, name, metav1.DeleteOptions{}))
				<-pace.C
			}
		})
	}
	f()
	cancel()
	group.Wait()
	for failure, times := range failures {
		t.Errorf("%d times %s", times, failure)
	}
	if asked == 0 {
		t.Error("nothing was asked")
	}
	return asked
}
