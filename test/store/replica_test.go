package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"k8s.io/apimachinery/pkg/api/apitesting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/store"
)

const cluster = "11111111-2222-3333-4444-555555555555"

// replica is one Store, as each API server has one, and the storage of pods in it.
type replica struct {
	store *store.Store
	pods  storage.Interface
}

// connect opens a connection as internal/natsconn does, which knows one server only.
func connect(t *testing.T, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.RetryOnFailedConnect(true), nats.IgnoreDiscoveredServers(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // lost connections are what the tests are about
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// openReplica opens a store and waits until it is ready.
func openReplica(t *testing.T, url string, change func(*store.Config)) *replica {
	t.Helper()
	// History is not given up: the stream must hold all that is compared.
	cfg := store.Config{Conn: connect(t, url), Cluster: cluster, CompactEvery: -1}
	if change != nil {
		change(&cfg)
	}
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(s.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatalf("the store is not ready: %v", err)
	}
	codec := apitesting.TestCodec(codecs(), examplev1.SchemeGroupVersion)
	return &replica{store: s, pods: s.Storage(store.Resource{Resource: "pods", Codec: codec,
		New: func() runtime.Object { return &example.Pod{} }, NewList: func() runtime.Object { return &example.PodList{} }})}
}

func codecs() serializer.CodecFactory {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, metav1.SchemeGroupVersion)
	utilruntime.Must(example.AddToScheme(s))
	utilruntime.Must(examplev1.AddToScheme(s))
	return serializer.NewCodecFactory(s)
}

// Every content of an object is written once only: its label names the write.
const writeLabel = "write"

func writeOf(obj runtime.Object) string {
	if pod, ok := obj.(*example.Pod); ok {
		return pod.Labels[writeLabel]
	}
	return ""
}

func makePod(name, write string, ballast []byte) *example.Pod {
	return &example.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name,
		Labels: map[string]string{writeLabel: write}, Annotations: map[string]string{"ballast": string(ballast)}}}
}

func keyOf(name string) string { return "/pods/ns/" + name }

func revisionOf(obj runtime.Object) uint64 {
	revision, err := storage.APIObjectVersioner{}.ObjectResourceVersion(obj)
	if err != nil {
		panic(err) // not an object: nothing the tests use
	}
	return revision
}

// everything selects all pods after a revision.
func everything(resourceVersion string) storage.ListOptions {
	return storage.ListOptions{ResourceVersion: resourceVersion, Predicate: storage.Everything, Recursive: true}
}

// outcomeOf reads what an answer promises about the write.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return acknowledged
	case errors.Is(err, store.ErrUnknownOutcome), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unknown
	default:
		return refused
	}
}
