package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"k8s.io/apimachinery/pkg/api/apitesting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/feature"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/trellis-operator/trellis/internal/natsd"
)

const (
	testPrefix  = "test!"
	testCluster = "11111111-2222-3333-4444-555555555555"
	testTimeout = 30 * time.Second
)

var (
	testScheme = newTestScheme()
	testCodecs = serializer.NewCodecFactory(testScheme)
)

func newTestScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, metav1.SchemeGroupVersion)
	utilruntime.Must(example.AddToScheme(s))
	utilruntime.Must(examplev1.AddToScheme(s))
	return s
}

func TestMain(m *testing.M) {
	// As cli does at start, for the watch cache.
	feature.DefaultFeatureSupportChecker = FeatureSupport{}
	os.Exit(m.Run())
}

func newPod() runtime.Object     { return &example.Pod{} }
func newPodList() runtime.Object { return &example.PodList{} }

func podResource() Resource {
	return Resource{
		Resource: "pods", Codec: apitesting.TestCodec(testCodecs, examplev1.SchemeGroupVersion), New: newPod, NewList: newPodList,
		Transformer: storagetesting.NewPrefixTransformer([]byte(testPrefix), false),
	}
}

// connect opens a connection as internal/natsconn does.
func connect(t testing.TB, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// openStore opens a store on a server and waits until it is ready.
func openStore(t testing.TB, url string, change func(*Config)) *Store {
	t.Helper()
	cfg := Config{
		Conn: connect(t, url), Cluster: testCluster, Memory: true, CompactEvery: -1,
		WatchReady: flowcontrol.WatchInitialized,
	}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(s.Close)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatalf("the store is not ready: %v", err)
	}
	return s
}

// newStore opens a store on a server of its own.
func newStore(t testing.TB, change func(*Config)) *Store {
	t.Helper()
	return openStore(t, natsd.Run(t, natsd.Options{}).ClientURL(), change)
}

// testSetup returns the storage of pods on a server of its own.
func testSetup(t testing.TB, change ...func(*Resource)) (context.Context, *objects) {
	t.Helper()
	r := podResource()
	for _, c := range change {
		c(&r)
	}
	s := newStore(t, func(c *Config) { c.Progress = time.Second })
	return context.Background(), newPods(s, r)
}

// increaseRV writes a message that is no object.
func increaseRV(s *Store) storagetesting.IncreaseRVFunc {
	return func(ctx context.Context, t *testing.T) int64 {
		t.Helper()
		tail := metaTail("test")
		last, err := s.last(ctx, tail)
		if err != nil {
			t.Fatalf("increase the revision: %v", err)
		}
		p := put{tail: tail}
		if last != nil {
			p.expect = last.seq
		}
		revision, err := s.publish(ctx, p)
		if err != nil {
			t.Fatalf("increase the revision: %v", err)
		}
		return int64(revision)
	}
}

// compaction compacts and purges as the compactor does, without its clock.
func compaction(s *Store) storagetesting.Compaction {
	return func(ctx context.Context, t *testing.T, resourceVersion string) {
		t.Helper()
		revision, err := strconv.ParseUint(resourceVersion, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		record, err := s.compact(ctx, revision)
		if err != nil {
			t.Fatalf("compact to %d: %v", revision, err)
		}
		if err := s.purge(ctx, record); err != nil {
			t.Fatalf("purge: %v", err)
		}
	}
}

// checkStored is the storage invariant of the suite: what is stored has no revision and no self link.
func checkStored(o *objects) storagetesting.KeyValidation {
	return func(ctx context.Context, t *testing.T, key string) {
		t.Helper()
		k, err := o.key(key, false)
		if err != nil {
			t.Fatal(err)
		}
		last, err := o.store.last(ctx, k.tail)
		if err != nil || last == nil {
			t.Fatalf("expecting non empty result on key %s: %v, %v", key, last, err)
		}
		decoded, err := runtime.Decode(o.res.Codec, last.data[len(testPrefix):])
		if err != nil {
			t.Fatalf("expecting successful decode of object from %s: %v", last.data, err)
		}
		pod := decoded.(*example.Pod)
		//lint:ignore SA1019 the suite of k8s.io/apiserver checks the field too
		if pod.ResourceVersion != "" || pod.SelfLink != "" {
			//lint:ignore SA1019 as above
			t.Errorf("stored object has resource version %q and self link %q", pod.ResourceVersion, pod.SelfLink)
		}
	}
}

// checkReads is what remains of the suite's check of requests to etcd: how many objects a list decodes. Requests for
// pages have no counterpart here, the index answers them.
func checkReads(o *objects) storagetesting.CallsValidation {
	return func(t *testing.T, _, estimatedProcessedObjects uint64) {
		t.Helper()
		if reads := swappable(o).get().(*storagetesting.PrefixTransformer).GetReadsAndReset(); reads != estimatedProcessedObjects {
			t.Errorf("unexpected reads: %d, expected: %d", reads, estimatedProcessedObjects)
		}
	}
}

// swapTransformer is a transformer that the suite can replace while a watch uses it.
type swapTransformer struct {
	now atomic.Pointer[value.Transformer]
}

func newSwapTransformer(first value.Transformer) *swapTransformer {
	t := &swapTransformer{}
	t.now.Store(&first)
	return t
}

func (t *swapTransformer) get() value.Transformer { return *t.now.Load() }

func (t *swapTransformer) TransformFromStorage(ctx context.Context, data []byte, about value.Context) ([]byte, bool, error) {
	return t.get().TransformFromStorage(ctx, data, about)
}

func (t *swapTransformer) TransformToStorage(ctx context.Context, data []byte, about value.Context) ([]byte, error) {
	return t.get().TransformToStorage(ctx, data, about)
}

// swap returns the function that puts the old one back.
func (t *swapTransformer) swap(next value.Transformer) func() {
	before := t.now.Swap(&next)
	return func() { t.now.Store(before) }
}

// newPods makes a storage whose transformer can be swapped.
func newPods(s *Store, r Resource) *objects {
	o := s.newObjects(r)
	o.transformer = newSwapTransformer(o.transformer)
	return o
}

func swappable(o *objects) *swapTransformer { return o.transformer.(*swapTransformer) }

// withPrefixTransformer lets the suite change the transformer.
type withPrefixTransformer struct {
	storage.Interface
	of *objects
}

func (s *withPrefixTransformer) UpdatePrefixTransformer(modifier storagetesting.PrefixTransformerModifier) func() {
	// A new one, not a copy: watches are counting in the old one.
	changed := storagetesting.NewPrefixTransformer([]byte(testPrefix), false)
	return swappable(s.of).swap(modifier(changed))
}

// withTransformerOverride lets the suite replace the transformer.
type withTransformerOverride struct {
	storage.Interface
	of *objects
}

func (s *withTransformerOverride) UpdateTransformer(modifier storagetesting.TransformerModifier) func() {
	return swappable(s.of).swap(modifier(swappable(s.of).get()))
}

// failingTransformer fails on demand.
type failingTransformer struct {
	value.Transformer
	fail atomic.Bool
}

func (f *failingTransformer) TransformFromStorage(ctx context.Context, data []byte, about value.Context) ([]byte, bool, error) {
	if f.fail.Load() {
		return nil, false, errors.New("synthetic error")
	}
	return f.Transformer.TransformFromStorage(ctx, data, about)
}

// failingCodec fails on demand.
type failingCodec struct {
	runtime.Codec
	fail atomic.Bool
}

func (f *failingCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if f.fail.Load() {
		return nil, nil, errors.New("synthetic error")
	}
	return f.Codec.Decode(data, defaults, into)
}

func podKey(pod *example.Pod) string { return fmt.Sprintf("/pods/%s/%s", pod.Namespace, pod.Name) }

func makePod(namespace, name string) *example.Pod {
	return &example.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}
