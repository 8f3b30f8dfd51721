package store

import (
	"context"
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/test/proxy"
)

// TestNATSDown: reads from the cache and open watches go on, the rest answers 503.
func TestNATSDown(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	p := proxy.New(t, server.ClientURL())
	ctx, c := newCachedOn(t, openStore(t, p.URL(), func(c *Config) { c.Timeout = shortTimeout }))
	created := mustCreate(t, c, "ns", "before")
	if err := c.Get(ctx, "/pods/ns/before", storage.GetOptions{ResourceVersion: created.ResourceVersion}, &example.Pod{}); err != nil {
		t.Fatal(err)
	}
	w, err := c.Watch(ctx, "/pods/", storage.ListOptions{ResourceVersion: created.ResourceVersion, Predicate: storage.Everything, Recursive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	p.Refuse.Store(true)
	p.Cut()
	eventually(t, "the connection is gone", func() bool { return !c.objects.store.link.connected() })

	list := &example.PodList{}
	anyRevision := storage.ListOptions{ResourceVersion: "0", Predicate: storage.Everything, Recursive: true}
	if err := c.GetList(ctx, "/pods/", anyRevision, list); err != nil || len(list.Items) != 1 {
		t.Errorf("a list at revision 0 has %d objects: %v", len(list.Items), err)
	}
	if err := c.Get(ctx, "/pods/ns/before", storage.GetOptions{ResourceVersion: "0"}, &example.Pod{}); err != nil {
		t.Errorf("a get at revision 0: %v", err)
	}
	checkUnavailable(t, c.Get(ctx, "/pods/ns/before", storage.GetOptions{}, &example.Pod{}))
	checkUnavailable(t, c.Delete(ctx, "/pods/ns/before", &example.Pod{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}))
	_, err = create(ctx, c, "ns", "during")
	checkUnavailable(t, err)
	bare := c.objects
	checkUnavailable(t, bare.GetList(ctx, "/pods/", storage.ListOptions{Predicate: storage.Everything, Recursive: true}, list))
	list = &example.PodList{}
	if err := bare.GetList(ctx, "/pods/", anyRevision, list); err != nil || len(list.Items) != 1 {
		t.Errorf("a bare list at revision 0 has %d objects: %v", len(list.Items), err)
	}

	p.Restore()
	eventually(t, "writes work again", func() bool {
		_, err := create(ctx, c, "ns", "after")
		return err == nil
	})
	for event := range w.ResultChan() { // the same watch goes on
		if pod, ok := event.Object.(runtime.CacheableObject); ok {
			event.Object = pod.GetObject()
		}
		if event.Type == watch.Added {
			if name := event.Object.(*example.Pod).Name; name != "after" {
				t.Errorf("the watch shows %q", name)
			}
			break
		}
		if event.Type != watch.Bookmark {
			t.Fatalf("the watch shows %s %v", event.Type, event.Object)
		}
	}
}

// TestOpenWithoutNATS: a store opens while NATS is away, says so, and begins when it comes.
func TestOpenWithoutNATS(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	p := proxy.New(t, server.ClientURL())
	p.Refuse.Store(true)
	s, err := Open(t.Context(), Config{Conn: connect(t, p.URL()), Cluster: testCluster, Memory: true, Timeout: shortTimeout})
	if err != nil {
		t.Fatalf("open without NATS: %v", err)
	}
	t.Cleanup(s.Close)
	o := s.newObjects(podResource())
	if err := o.ReadinessCheck(); !errors.Is(err, storage.ErrStorageNotReady) {
		t.Errorf("readiness is %v", err)
	}
	checkUnavailable(t, o.Get(t.Context(), "/pods/ns/x", storage.GetOptions{}, &example.Pod{}))
	_, err = create(t.Context(), o, "ns", "x")
	checkUnavailable(t, err)
	p.Restore()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, o, "ns", "x")
}
