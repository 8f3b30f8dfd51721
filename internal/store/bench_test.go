package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
)

// storages are the ways in which the server of a benchmark keeps the stream.
var storages = map[string]func() (natsd.Options, func(*Config)){
	"sync": func() (natsd.Options, func(*Config)) {
		return natsd.Options{SyncAlways: true}, func(c *Config) { c.Memory = false }
	},
	"file":   func() (natsd.Options, func(*Config)) { return natsd.Options{}, func(c *Config) { c.Memory = false } },
	"memory": func() (natsd.Options, func(*Config)) { return natsd.Options{}, nil },
}

func benchStore(b *testing.B, kind string) *objects {
	b.Helper()
	options, change := storages[kind]()
	return openStore(b, natsd.Run(b, options).ClientURL(), change).newObjects(podResource())
}

// bigPod is an object of about 4 KiB.
func bigPod(namespace, name string) *example.Pod {
	pod := makePod(namespace, name)
	pod.Annotations = map[string]string{"text": strings.Repeat("x", 3800)}
	return pod
}

func touch(ctx context.Context, o storage.Interface, key string, n int) error {
	return o.GuaranteedUpdate(ctx, key, &example.Pod{}, false, nil, storage.SimpleUpdate(
		func(obj runtime.Object) (runtime.Object, error) {
			pod := obj.(*example.Pod).DeepCopy()
			pod.Labels = map[string]string{"n": fmt.Sprint(n)}
			return pod, nil
		}), nil)
}

func createBig(b *testing.B, o storage.Interface, namespace, name string) string {
	b.Helper()
	pod := bigPod(namespace, name)
	if err := o.Create(context.Background(), podKey(pod), pod, nil, 0); err != nil {
		b.Fatal(err)
	}
	return podKey(pod)
}

// BenchmarkUpdateSequential: one client changes one object of 4 KiB.
func BenchmarkUpdateSequential(b *testing.B) {
	for kind := range storages {
		b.Run(kind, func(b *testing.B) {
			o := benchStore(b, kind)
			key := createBig(b, o, "ns", "one")
			var all []time.Duration
			for n := 0; b.Loop(); n++ {
				began := time.Now()
				if err := touch(context.Background(), o, key, n); err != nil {
					b.Fatal(err)
				}
				all = append(all, time.Since(began))
			}
			reportPercentiles(b, all)
		})
	}
}

func reportPercentiles(b *testing.B, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(all[len(all)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(all[len(all)*99/100].Seconds()*1e3, "p99-ms")
}

// BenchmarkUpdate32: 32 clients change an object each.
func BenchmarkUpdate32(b *testing.B) {
	for kind := range storages {
		b.Run(kind, func(b *testing.B) {
			o := benchStore(b, kind)
			var client atomic.Int32
			keys := make([]string, 64)
			for i := range keys {
				keys[i] = createBig(b, o, "ns", fmt.Sprint("p", i))
			}
			b.SetParallelism(16) // times GOMAXPROCS, which is 2 where the numbers of docs/spec/store.md come from
			var mu sync.Mutex
			var all []time.Duration
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				key := keys[int(client.Add(1))%len(keys)]
				var mine []time.Duration
				for n := 0; pb.Next(); n++ {
					began := time.Now()
					if err := touch(context.Background(), o, key, n); err != nil {
						b.Error(err)
						return
					}
					mine = append(mine, time.Since(began))
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, mine...)
			})
			b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "writes/s")
			reportPercentiles(b, all)
		})
	}
}

// BenchmarkList lists objects of 4 KiB with a consistent read, without a watch cache.
func BenchmarkList(b *testing.B) {
	o := benchStore(b, "memory")
	filled := 0
	for _, size := range []int{3000, 10000} {
		for ; filled < size; filled++ {
			createBig(b, o, fmt.Sprintf("ns-%02d", filled%100), fmt.Sprintf("pod-%05d", filled))
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				if n := len(listAll(b, o, 0)); n != size {
					b.Fatalf("%d objects", n)
				}
			}
		})
	}
}

// BenchmarkGet reads one object consistently.
func BenchmarkGet(b *testing.B) {
	o := benchStore(b, "memory")
	key := createBig(b, o, "ns", "one")
	for b.Loop() {
		if err := o.Get(context.Background(), key, storage.GetOptions{}, &example.Pod{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReplay opens a store on a stream with 10,000 objects of 4 KiB.
func BenchmarkReplay(b *testing.B) {
	for _, kind := range []string{"file", "memory"} {
		b.Run(kind, func(b *testing.B) {
			options, change := storages[kind]()
			server := natsd.Run(b, options)
			o := openStore(b, server.ClientURL(), change).newObjects(podResource())
			for i := range 10000 {
				createBig(b, o, fmt.Sprintf("ns-%02d", i%100), fmt.Sprintf("pod-%05d", i))
			}
			conn := connect(b, server.ClientURL())
			for b.Loop() {
				s, err := Open(context.Background(), Config{Conn: conn, Cluster: testCluster, CompactEvery: -1})
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Ready(context.Background()); err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		})
	}
}

// BenchmarkWatchDelivery measures the time from the call of an update to the event of a watch.
func BenchmarkWatchDelivery(b *testing.B) {
	o := benchStore(b, "memory")
	key := createBig(b, o, "ns", "one")
	w, err := o.Watch(context.Background(), "/pods/", storage.ListOptions{Predicate: storage.Everything, Recursive: true})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Stop()
	<-w.ResultChan()
	var total time.Duration
	for n := 0; b.Loop(); n++ {
		began := time.Now()
		if err := touch(context.Background(), o, key, n); err != nil {
			b.Fatal(err)
		}
		<-w.ResultChan()
		total += time.Since(began)
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "µs/event")
}
