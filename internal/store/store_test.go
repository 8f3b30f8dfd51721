package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
)

func TestOpen_Errors(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	good := connect(t, server.ClientURL())
	buffered, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer buffered.Close()
	for name, cfg := range map[string]Config{
		"no connection": {Cluster: "c"},
		"no cluster":    {Conn: good},
		"bad cluster":   {Conn: good, Cluster: "a/b"},
		"late writes":   {Conn: buffered, Cluster: "c"},
	} {
		if s, err := Open(t.Context(), cfg); err == nil {
			s.Close()
			t.Errorf("%s: the store opened", name)
		}
	}
}

func TestDomain(t *testing.T) {
	server := natsd.Run(t, natsd.Options{Domain: "hub"})
	o := openStore(t, server.ClientURL(), func(c *Config) { c.Domain = "hub" }).newObjects(podResource())
	mustCreate(t, o, "ns", "x")
	compaction(o.store)(t.Context(), t, "2")
	if got := names(t, o); got != "x= " {
		t.Errorf("objects are %q", got)
	}
}

// TestTooLarge: an object above the limit never reaches NATS.
func TestTooLarge(t *testing.T) {
	o := newStore(t, nil).newObjects(podResource())
	big := makePod("ns", "big")
	big.Annotations = map[string]string{"x": strings.Repeat("x", MaxObject)}
	before, _ := o.store.current(t.Context())
	var status apierrors.APIStatus
	if err := o.Create(t.Context(), podKey(big), big, nil, 0); !errors.As(err, &status) || status.Status().Code != http.StatusRequestEntityTooLarge {
		t.Errorf("creation of a large object: %v", err)
	}
	if after, err := o.store.current(t.Context()); err != nil || after != before {
		t.Errorf("revision %d became %d: %v", before, after, err)
	}
	fits := makePod("ns", "fits")
	fits.Annotations = map[string]string{"x": strings.Repeat("x", MaxObject-1000)}
	if err := o.Create(t.Context(), podKey(fits), fits, nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(t.Context(), podKey(fits), &example.Pod{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
		t.Errorf("deletion of the largest object: %v", err)
	}
}

// TestClustersApart: two clusters share a stream and never see each other's objects.
func TestClustersApart(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	a := direct(t, server.ClientURL())
	b := openStore(t, server.ClientURL(), func(c *Config) { c.Cluster = "other" }).newObjects(podResource())
	mustCreate(t, a, "ns", "x")
	if got := names(t, b); got != "" {
		t.Errorf("the other cluster sees %q", got)
	}
	created := mustCreate(t, b, "ns", "x")
	if got := names(t, a); got != "x= " {
		t.Errorf("this cluster sees %q", got)
	}
	for i := range 3 {
		label(t, b, "x", fmt.Sprint(i))
	}
	// Whoever compacts cleans up for both.
	last, err := a.store.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compaction(a.store)(t.Context(), t, fmt.Sprint(last))
	if n := messages(t, a.store); n != 4 { // origin, two objects, compact record
		t.Errorf("%d messages remain (first revision of the other cluster's object was %s)", n, created.ResourceVersion)
	}
	if got := names(t, b); got != "x=2 " {
		t.Errorf("the other cluster sees %q", got)
	}
}

// TestLargeLists: complete, in one answer and in pages.
func TestLargeLists(t *testing.T) {
	o := newStore(t, nil).newObjects(podResource())
	const step = 3000
	for _, size := range []int{step, 10000} {
		fill(t, o, len(listAll(t, o, 0)), size)
		for _, limit := range []int64{0, 500, 999} {
			seen := map[string]bool{}
			for _, pod := range listAll(t, o, limit) {
				seen[pod.Namespace+"/"+pod.Name] = true
			}
			if len(seen) != size {
				t.Errorf("a list of %d objects in pages of %d has %d", size, limit, len(seen))
			}
		}
	}
}

// fill creates objects in parallel until there are enough.
func fill(t testing.TB, o storage.Interface, from, to int) {
	t.Helper()
	var wait sync.WaitGroup
	const workers = 16
	for w := range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := from + w; i < to; i += workers {
				if _, err := create(context.Background(), o, fmt.Sprintf("ns-%02d", i%100), fmt.Sprintf("pod-%05d", i)); err != nil {
					t.Errorf("create object %d: %v", i, err)
					return
				}
			}
		}()
	}
	wait.Wait()
}

// listAll lists in pages; 0 is one page.
func listAll(t testing.TB, o storage.Interface, limit int64) []example.Pod {
	t.Helper()
	var all []example.Pod
	opts := storage.ListOptions{Predicate: storage.Everything, Recursive: true}
	opts.Predicate.Limit = limit
	for {
		page := &example.PodList{}
		if err := o.GetList(context.Background(), "/pods/", opts, page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Items...)
		if page.Continue == "" {
			return all
		}
		opts.Predicate.Continue = page.Continue
	}
}
