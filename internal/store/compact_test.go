package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
)

func label(t testing.TB, o storage.Interface, name, value string) *example.Pod {
	t.Helper()
	out := &example.Pod{}
	err := o.GuaranteedUpdate(context.Background(), "/pods/ns/"+name, out, false, nil, storage.SimpleUpdate(
		func(obj runtime.Object) (runtime.Object, error) {
			pod := obj.(*example.Pod).DeepCopy()
			pod.Labels = map[string]string{"v": value}
			return pod, nil
		}), nil)
	if err != nil {
		t.Fatalf("update %s: %v", name, err)
	}
	return out
}

func remove(t testing.TB, o storage.Interface, name string) *example.Pod {
	t.Helper()
	out := &example.Pod{}
	err := o.Delete(context.Background(), "/pods/ns/"+name, out, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	if err != nil {
		t.Fatalf("delete %s: %v", name, err)
	}
	return out
}

func names(t testing.TB, o storage.Interface) string {
	t.Helper()
	list := &example.PodList{}
	if err := o.GetList(context.Background(), "/pods/", storage.ListOptions{Predicate: storage.Everything, Recursive: true}, list); err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, pod := range list.Items {
		out += pod.Name + "=" + pod.Labels["v"] + " "
	}
	return out
}

// messages returns the number of messages in the stream.
func messages(t testing.TB, s *Store) uint64 {
	t.Helper()
	state, err := s.api.info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return state.State.Messages
}

// TestCompaction: purging leaves the state alone, tombstones go one round later, and a new replica reads the same.
func TestCompaction(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	o := direct(t, server.ClientURL())
	mustCreate(t, o, "ns", "kept")
	mustCreate(t, o, "ns", "gone")
	for i := range 5 {
		label(t, o, "kept", fmt.Sprint(i))
	}
	last := remove(t, o, "gone")
	const want = "kept=4 "
	compaction(o.store)(context.Background(), t, last.ResourceVersion)
	// origin, kept, tombstone of gone, compact record
	if n := messages(t, o.store); n != 4 || names(t, o) != want {
		t.Errorf("after one compaction: %d messages, objects %q", n, names(t, o))
	}
	other := direct(t, server.ClientURL())
	if names(t, other) != want {
		t.Errorf("a replica that came between has %q", names(t, other))
	}
	position, _ := o.store.index.where()
	compaction(o.store)(context.Background(), t, fmt.Sprint(position))
	// origin, kept, compact record
	if n := messages(t, o.store); n != 3 || names(t, o) != want || names(t, other) != want {
		t.Errorf("after two compactions: %d messages, objects %q and %q", n, names(t, o), names(t, other))
	}
	if late := direct(t, server.ClientURL()); names(t, late) != want {
		t.Errorf("a late replica has %q", names(t, late))
	}
	mustCreate(t, o, "ns", "gone") // its subject is empty again
}

// TestCreateOverForgottenTombstone: the index has forgotten a tombstone that the stream still has.
func TestCreateOverForgottenTombstone(t *testing.T) {
	o := newStore(t, nil).newObjects(podResource())
	mustCreate(t, o, "ns", "again")
	last := remove(t, o, "again")
	compaction(o.store)(context.Background(), t, last.ResourceVersion)
	mustCreate(t, o, "ns", "again")
	if got := names(t, o); got != "again= " {
		t.Errorf("objects are %q", got)
	}
}

// TestGapAcrossCompaction: a replica is away while what it has not seen is compacted and purged. It must not believe
// its old state, and watches that are behind end with "expired".
func TestGapAcrossCompaction(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	o := direct(t, server.ClientURL())
	p, away := behindProxy(t, server.ClientURL())
	mustCreate(t, o, "ns", "deleted")
	first := mustCreate(t, o, "ns", "kept")
	if got := names(t, away); got != "deleted= kept= " {
		t.Fatalf("objects are %q", got)
	}
	w, err := away.Watch(context.Background(), "/pods/", storage.ListOptions{
		ResourceVersion: first.ResourceVersion, Predicate: storage.Everything, Recursive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	p.Refuse.Store(true)
	p.Cut()
	eventually(t, "the connection is gone", func() bool { return !away.store.link.connected() })
	remove(t, o, "deleted")
	for range 2 {
		last := label(t, o, "kept", fmt.Sprint(time.Now().UnixNano()))
		compaction(o.store)(context.Background(), t, last.ResourceVersion)
	}
	want := names(t, o)
	p.Restore()
	eventually(t, "the replica is back", func() bool { return away.store.Ready(context.Background()) == nil && away.store.link.connected() })
	eventually(t, "the replica has the same objects", func() bool {
		list := &example.PodList{}
		err := away.GetList(context.Background(), "/pods/", storage.ListOptions{Predicate: storage.Everything, Recursive: true}, list)
		return err == nil && names(t, away) == want
	})
	select {
	case event := <-w.ResultChan():
		if event.Type != watch.Error {
			t.Errorf("a watch with a gap goes on with %s of %v", event.Type, event.Object)
		}
	case <-time.After(testTimeout):
		t.Error("a watch with a gap goes on")
	}
}

// TestCompactor runs the clockwork: two replicas, one purge, and the other forgets its garbage.
func TestCompactor(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	quick := func(c *Config) { c.History, c.CompactEvery = 50*time.Millisecond, 50*time.Millisecond }
	a := openStore(t, server.ClientURL(), quick).newObjects(podResource())
	b := openStore(t, server.ClientURL(), quick).newObjects(podResource())
	mustCreate(t, a, "ns", "kept")
	for i := range 200 {
		label(t, a, "kept", fmt.Sprint(i))
	}
	mustCreate(t, a, "ns", "gone")
	remove(t, a, "gone")
	eventually(t, "history leaves the stream", func() bool {
		label(t, a, "kept", fmt.Sprint(time.Now().UnixNano()))
		return a.CompactRevision() > 204 && b.CompactRevision() > 204 && messages(t, a.store) < 100
	})
	if x, y := names(t, a), names(t, b); x != y {
		t.Errorf("the replicas have %q and %q", x, y)
	}
}

// TestHistoryFromStream: bodies of old versions come from the stream.
func TestHistoryFromStream(t *testing.T) {
	s := newStore(t, func(c *Config) { c.HistoryBytes = 1 })
	o := s.newObjects(podResource())
	first := mustCreate(t, o, "ns", "a")
	for i := range 5 {
		label(t, o, "a", fmt.Sprint(i))
	}
	remove(t, o, "a")
	eventually(t, "bodies are let go", func() bool { s.index.mu.RLock(); defer s.index.mu.RUnlock(); return s.index.old.bytes <= 1 })
	list := &example.PodList{}
	exact := storage.ListOptions{ResourceVersion: first.ResourceVersion, ResourceVersionMatch: "Exact", Predicate: storage.Everything, Recursive: true}
	if err := o.GetList(context.Background(), "/pods/", exact, list); err != nil || len(list.Items) != 1 || list.Items[0].ResourceVersion != first.ResourceVersion {
		t.Fatalf("an exact list has %v: %v", list.Items, err)
	}
	w, err := o.Watch(context.Background(), "/pods/", storage.ListOptions{ResourceVersion: "1", Predicate: storage.Everything, Recursive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for i, want := range []watch.EventType{watch.Added, watch.Modified, watch.Modified, watch.Modified, watch.Modified, watch.Modified, watch.Deleted} {
		event := <-w.ResultChan()
		if event.Type != want {
			t.Fatalf("event %d is %s of %v, want %s", i, event.Type, event.Object, want)
		}
	}
}
