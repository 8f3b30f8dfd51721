package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	clientfeatures "k8s.io/client-go/features"
	"k8s.io/client-go/tools/cache"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
	"k8s.io/utils/clock"
)

// cached is a watch cache over a storage of pods.
type cached struct {
	*cacher.CacheDelegator
	objects  *objects
	recorder *storagetesting.KubernetesRecorder
}

type cacheOptions struct {
	resource Resource
	config   cacher.Config
}

// newCached does what testSetupWithEtcdServer of pkg/storage/cacher does.
func newCached(t *testing.T, change ...func(*cacheOptions)) (context.Context, *cached) {
	t.Helper()
	return newCachedOn(t, newStore(t, func(c *Config) { c.Progress = time.Second }), change...)
}

func newCachedOn(t *testing.T, s *Store, change ...func(*cacheOptions)) (context.Context, *cached) {
	t.Helper()
	o := cacheOptions{resource: podResource(), config: cacher.Config{
		Versioner: storage.APIObjectVersioner{}, GroupResource: schema.GroupResource{Resource: "pods"},
		EventsHistoryWindow: cacher.DefaultEventFreshDuration, ResourcePrefix: "/pods/",
		KeyFunc:      func(obj runtime.Object) (string, error) { return storage.NamespaceKeyFunc("/pods/", obj) },
		GetAttrsFunc: podAttrs, NewFunc: newPod, NewListFunc: newPodList, Indexers: &cache.Indexers{}, Clock: impatientClock{},
	}}
	o.resource.Transformer = identity.NewEncryptCheckTransformer()
	for _, c := range change {
		c(&o)
	}
	c := &cached{objects: newPods(s, o.resource)}
	c.recorder = storagetesting.NewKubernetesRecorder(noEtcd{})
	// One list fails, as in the original, to see the cache list again.
	failing := &storagetesting.StorageInjectingListErrors{Interface: &recorded{c.objects, c.recorder}, Errors: 1}
	if clientfeatures.FeatureGates().Enabled(clientfeatures.WatchListClient) {
		failing.Errors = 0 // it does not list at all
	}
	o.config.Storage, o.config.Codec = failing, o.resource.Codec
	watchCache, err := cacher.NewCacherFromConfig(o.config)
	if err != nil {
		t.Fatalf("make the watch cache: %v", err)
	}
	ctx := context.Background()
	if err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, testTimeout, true,
		func(context.Context) (bool, error) { return failing.ErrorsConsumed() }); err != nil {
		t.Fatal(err)
	}
	if err := watchCache.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	c.CacheDelegator = cacher.NewCacheDelegator(watchCache, failing)
	t.Cleanup(func() {
		c.CacheDelegator.Stop()
		watchCache.Stop()
	})
	return ctx, c
}

// noEtcd is the client behind the recorder: it answers nothing.
type noEtcd struct{ kubernetes.Interface }

func (noEtcd) List(context.Context, string, kubernetes.ListOptions) (kubernetes.ListResponse, error) {
	return kubernetes.ListResponse{}, nil
}

// recorded tells the suite's recorder which lists reach the storage, as the requests that the etcd adapter would make
// for them. So the suite's checks of what the watch cache passes on hold here too.
type recorded struct {
	*objects
	recorder *storagetesting.KubernetesRecorder
}

func (r *recorded) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	if prepared, err := storage.PrepareKey("/pods/", key, opts.Recursive); err == nil {
		revision, start, err := storage.ValidateListOptions("/registry"+prepared, r.Versioner(), opts)
		if err == nil {
			r.record(ctx, "/registry"+prepared, start, revision, opts.Predicate)
		}
	}
	return r.objects.GetList(ctx, key, opts, list)
}

// record reads pages as the etcd adapter does: twice as large each time, until enough objects match.
func (r *recorded) record(ctx context.Context, prefix, start string, revision int64, pred storage.SelectionPredicate) {
	first := prefix
	if start != "" {
		first = start
	}
	index := func(key string) string { return r.root + key[len("/registry/pods/"):] }
	found, at, _ := r.store.index.scan(index(first), prefixEnd(index(prefix)), uint64(max(revision, 0)))
	for page, matched := pred.Limit, int64(0); ; page *= 2 {
		_, _ = r.recorder.List(ctx, prefix, kubernetes.ListOptions{Revision: revision, Limit: page, Continue: start})
		revision = int64(at)
		read := found[:min(page, int64(len(found)))]
		for _, it := range read {
			obj, err := (&lister{o: r.objects, newItem: newPod}).decode(ctx, it)
			if err != nil {
				return
			}
			if ok, err := pred.Matches(obj); ok && err == nil {
				matched++
			}
		}
		found = found[len(read):]
		if page == 0 || matched >= pred.Limit || len(found) == 0 {
			return
		}
		start = "/registry/pods/" + read[len(read)-1].key[len(r.root):] + "\x00"
	}
}

func podAttrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	pod, ok := obj.(*example.Pod)
	if !ok {
		return nil, nil, errors.New("not a pod")
	}
	return labels.Set(pod.Labels), fields.Set{
		"spec.nodeName": pod.Spec.NodeName, "spec.restartPolicy": string(pod.Spec.RestartPolicy),
		"status.phase": string(pod.Status.Phase), "metadata.name": pod.Name, "metadata.namespace": pod.Namespace,
	}, nil
}

// withIndexes are the indexes that the suite expects of pods.
func withIndexes(o *cacheOptions) {
	o.config.IndexerFuncs = map[string]storage.IndexerFunc{
		"spec.nodeName": func(obj runtime.Object) string { return obj.(*example.Pod).Spec.NodeName },
	}
	o.config.Indexers = &cache.Indexers{
		"f:spec.nodeName":      func(obj any) ([]string, error) { return []string{obj.(*example.Pod).Spec.NodeName}, nil },
		"f:metadata.namespace": func(obj any) ([]string, error) { return []string{obj.(*example.Pod).Namespace}, nil },
	}
}

func withClusterScope(o *cacheOptions) {
	o.config.KeyFunc = func(obj runtime.Object) (string, error) { return storage.NoNamespaceKeyFunc("/pods/", obj) }
}

// settled is a storage whose creations return when the cache has them.
type settled struct{ *cached }

func (s *settled) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	if err := s.cached.Create(ctx, key, obj, out, ttl); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, testTimeout, true, func(ctx context.Context) (bool, error) {
		now := newPod()
		err := s.Get(ctx, key, storage.GetOptions{ResourceVersion: "0"}, now)
		if storage.IsNotFound(err) {
			return false, nil
		}
		return apiequality.Semantic.DeepEqual(now, out), err
	})
}

func withPrefix(o *cacheOptions) { o.resource.Transformer = podResource().Transformer }

func noValidation(context.Context, *testing.T, string) {}
func noCalls(*testing.T, uint64, uint64)               {}

// impatientClock shortens the 15 seconds in which the watch cache asks for the compact revision. The original suite calls
// an unexported function instead.
type impatientClock struct{ clock.RealClock }

func (c impatientClock) NewTimer(d time.Duration) clock.Timer {
	return impatientTimer{c.RealClock.NewTimer(impatient(d))}
}

type impatientTimer struct{ clock.Timer }

func (t impatientTimer) Reset(d time.Duration) bool { return t.Timer.Reset(impatient(d)) }

func impatient(d time.Duration) time.Duration {
	if d == 15*time.Second {
		return 5 * time.Millisecond
	}
	return d
}

// compactCached compacts the store and waits until the cache has noticed.
func compactCached(c *cached) storagetesting.Compaction {
	return func(ctx context.Context, t *testing.T, resourceVersion string) {
		t.Helper()
		compaction(c.objects.store)(ctx, t, resourceVersion)
		if err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, testTimeout, true, func(context.Context) (bool, error) {
			return fmt.Sprint(c.CompactRevision()) == resourceVersion, nil
		}); err != nil {
			t.Fatalf("the cache has compact revision %d, not %s: %v", c.CompactRevision(), resourceVersion, err)
		}
	}
}

// TestCached runs the suite under the watch cache, as pkg/storage/cacher does.
func TestCached(t *testing.T) {
	needIndexes := map[string]bool{"NamespaceScopedList": true, "NamespaceScopedWatch": true, "ClusterScopedWatch": true}
	needSettled := map[string]bool{"WatchSemantics": true, "WatchSemanticInitialEventsExtended": true, "WatchListMatchSingle": true}
	for name, run := range plainSuite() {
		t.Run(name, func(t *testing.T) {
			var change []func(*cacheOptions)
			if needIndexes[name] {
				change = append(change, withIndexes)
			}
			if name == "ClusterScopedWatch" {
				change = append(change, withClusterScope)
			}
			if name == "DeleteWithSuggestionAndMissingExpectedTransformOrDecodeError" {
				featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.AllowUnsafeMalformedObjectDeletion, true)
			}
			ctx, c := newCached(t, change...)
			if needSettled[name] {
				run(ctx, t, &settled{c})
				return
			}
			run(ctx, t, c)
		})
	}
}

func TestCachedCreate(t *testing.T) {
	ctx, c := newCached(t)
	storagetesting.RunTestCreate(ctx, t, c, noValidation)
}

func TestCachedDelete(t *testing.T) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.AllowUnsafeMalformedObjectDeletion, true)
	t.Run("WithConflictAndMissingExpectedTransformOrDecodeError", func(t *testing.T) {
		transformer := &failingTransformer{Transformer: identity.NewEncryptCheckTransformer()}
		ctx, c := newCached(t, func(o *cacheOptions) { o.resource.Transformer = transformer })
		storagetesting.RunTestDeleteWithConflictAndMissingExpectedTransformOrDecodeError(ctx, t, c, transformer.fail.Store)
	})
	t.Run("WithConflictAndExpectedTransformError", func(t *testing.T) {
		transformer := &failingTransformer{Transformer: identity.NewEncryptCheckTransformer()}
		ctx, c := newCached(t, func(o *cacheOptions) { o.resource.Transformer = transformer })
		storagetesting.RunTestDeleteExpectedTransformOrDecodeError(ctx, t, c, transformer.fail.Store)
	})
	t.Run("WithConflictAndExpectedDecodeError", func(t *testing.T) {
		codec := &failingCodec{Codec: podResource().Codec}
		ctx, c := newCached(t, func(o *cacheOptions) { o.resource.Codec = codec })
		storagetesting.RunTestDeleteExpectedTransformOrDecodeError(ctx, t, c, codec.fail.Store)
	})
}

func TestCachedLists(t *testing.T) {
	for _, snapshot := range []bool{true, false} {
		t.Run(fmt.Sprintf("ListFromCacheSnapshot=%v", snapshot), func(t *testing.T) {
			featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.ListFromCacheSnapshot, snapshot)
			t.Run("List", func(t *testing.T) {
				ctx, c := newCached(t)
				storagetesting.RunTestList(ctx, t, c, compactCached(c), true, c.recorder)
			})
			t.Run("ConsistentList", func(t *testing.T) {
				ctx, c := newCached(t)
				storagetesting.RunTestConsistentList(ctx, t, c, increaseRV(c.objects.store), true, true, snapshot)
			})
			t.Run("GetListNonRecursive", func(t *testing.T) {
				ctx, c := newCached(t)
				storagetesting.RunTestGetListNonRecursive(ctx, t, increaseRV(c.objects.store), c)
			})
		})
	}
}

func TestCachedCompactRevision(t *testing.T) {
	ctx, c := newCached(t)
	storagetesting.RunTestCompactRevision(ctx, t, c, increaseRV(c.objects.store), compactCached(c))
}

func TestCachedPages(t *testing.T) {
	t.Run("ListContinuation", func(t *testing.T) {
		ctx, c := newCached(t)
		storagetesting.RunTestListContinuation(ctx, t, c, noCalls)
	})
	t.Run("ListPaginationRareObject", func(t *testing.T) {
		ctx, c := newCached(t)
		storagetesting.RunTestListPaginationRareObject(ctx, t, c, noCalls)
	})
	t.Run("ListContinuationWithFilter", func(t *testing.T) {
		ctx, c := newCached(t)
		storagetesting.RunTestListContinuationWithFilter(ctx, t, c, noCalls)
	})
}

// TestCachedTransformer runs what the original leaves out under the cache, as far as it makes sense there.
func TestCachedTransformer(t *testing.T) {
	t.Run("ListResourceVersionMatch", func(t *testing.T) {
		ctx, c := newCached(t, withPrefix)
		storagetesting.RunTestListResourceVersionMatch(ctx, t, &withPrefixTransformer{c, c.objects})
	})
	t.Run("GuaranteedUpdate", func(t *testing.T) {
		ctx, c := newCached(t, withPrefix)
		storagetesting.RunTestGuaranteedUpdate(ctx, t, &withPrefixTransformer{c, c.objects}, checkStored(c.objects))
	})
	t.Run("GuaranteedUpdateChecksStoredData", func(t *testing.T) {
		ctx, c := newCached(t, withPrefix)
		storagetesting.RunTestGuaranteedUpdateChecksStoredData(ctx, t, &withPrefixTransformer{c, c.objects})
	})
}

func TestCachedStats(t *testing.T) {
	for name, sizes := range map[string]bool{"WithSizes": true, "WithoutSizes": false} {
		t.Run(name, func(t *testing.T) {
			featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.SizeBasedListCostEstimate, sizes)
			ctx, c := newCached(t)
			storagetesting.RunTestStats(ctx, t, c, c.objects.res.Codec, c.objects.transformer, sizes)
		})
	}
}

func TestCachedWatch(t *testing.T) {
	t.Run("WatchFromZero", func(t *testing.T) {
		ctx, c := newCached(t)
		storagetesting.RunTestWatchFromZero(ctx, t, c, nil)
	})
	t.Run("WatchDispatchBookmarkEvents", func(t *testing.T) {
		ctx, c := newCached(t)
		storagetesting.RunTestWatchDispatchBookmarkEvents(ctx, t, c, true)
	})
	t.Run("WatchBookmarksWithCorrectResourceVersion", func(t *testing.T) {
		ctx, c := newCached(t)
		storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion(ctx, t, c)
	})
}
