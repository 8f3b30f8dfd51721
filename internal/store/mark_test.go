package store

import (
	"context"
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
)

// TestIdentity: the mark of a store opens it again; another stream, or one that lost its end, is served only when
// somebody has accepted it.
func TestIdentity(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	o := direct(t, server.ClientURL())
	mustCreate(t, o, "ns", "a")
	names(t, o) // the index has it
	mark := o.store.Served()
	if mark.Identity == "" || mark.Revision < 2 {
		t.Fatalf("the mark is %+v", mark)
	}
	openStore(t, server.ClientURL(), func(c *Config) { c.Expect = &mark })

	for name, expect := range map[string]Mark{
		"another stream":  {Identity: "other", Revision: 1},
		"the end is lost": {Identity: mark.Identity, Revision: mark.Revision + 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), Config{Conn: connect(t, server.ClientURL()), Cluster: testCluster, Expect: &expect})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			changed := s.newObjects(podResource())
			eventually(t, "the store notices", func() bool { return s.Changed() != nil })
			_, writeErr := create(t.Context(), changed, "ns", "b")
			readErr := changed.Get(t.Context(), "/pods/ns/a", storage.GetOptions{ResourceVersion: "0"}, &example.Pod{})
			if !errors.Is(writeErr, ErrStoreChanged) || !errors.Is(readErr, ErrStoreChanged) {
				t.Errorf("write: %v, read: %v", writeErr, readErr)
			}
			s.Accept()
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			eventually(t, "the store is served", func() bool { return s.Ready(ctx) == nil })
			if got := names(t, changed); got != "a= " {
				t.Errorf("objects are %q", got)
			}
		})
	}
}

// TestStreamLost: a stream that vanishes while it is served is neither made again nor taken for an empty one.
func TestStreamLost(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	o := openStore(t, server.ClientURL(), func(c *Config) { c.Timeout = shortTimeout }).newObjects(podResource())
	created := mustCreate(t, o, "ns", "a")
	w, err := o.Watch(t.Context(), "/pods/", storage.ListOptions{ResourceVersion: created.ResourceVersion, Predicate: storage.Everything, Recursive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if err := o.store.js.DeleteStream(t.Context(), DefaultStream); err != nil {
		t.Fatal(err)
	}
	if _, err := create(t.Context(), o, "ns", "b"); !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrStoreChanged) {
		t.Errorf("a write without a stream: %v", err)
	}
	other := direct(t, server.ClientURL()) // makes a new one
	mustCreate(t, other, "ns", "new")
	eventually(t, "the store notices", func() bool {
		_, err := create(t.Context(), o, "ns", "c")
		return errors.Is(err, ErrStoreChanged)
	})
	o.store.Accept()
	eventually(t, "the new stream is served", func() bool {
		list := &example.PodList{}
		err := o.GetList(t.Context(), "/pods/", storage.ListOptions{Predicate: storage.Everything, Recursive: true}, list)
		return err == nil && len(list.Items) == 1 && list.Items[0].Name == "new"
	})
	if event := <-w.ResultChan(); event.Type != watch.Error {
		t.Errorf("a watch of the old stream goes on with %s of %v", event.Type, event.Object)
	}
}

// TestStreamGone: a stream that stays away is a change, and what is accepted in its place never uses a revision again.
func TestStreamGone(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	o := openStore(t, server.ClientURL(), func(c *Config) { c.Timeout = shortTimeout }).newObjects(podResource())
	created := mustCreate(t, o, "ns", "a")
	if err := o.store.js.DeleteStream(t.Context(), DefaultStream); err != nil {
		t.Fatal(err)
	}
	if err := o.store.Verify(t.Context()); err == nil {
		t.Error("a stream that is not there is verified")
	}
	eventually(t, "the store is changed", func() bool { return errors.Is(o.store.Changed(), ErrStoreChanged) })
	if found, err := o.store.Found(t.Context()); err != nil || found != (Mark{}) {
		t.Errorf("found %+v, %v; want nothing", found, err)
	}
	if _, err := o.store.js.Stream(t.Context(), DefaultStream); err == nil {
		t.Error("the stream was made again before anybody accepted that it is gone")
	}
	o.store.Accept()
	var next *example.Pod
	eventually(t, "an empty store is served", func() bool {
		var err error
		next, err = create(t.Context(), o, "ns", "b")
		return err == nil
	})
	if got := names(t, o); got != "b= " {
		t.Errorf("objects are %q", got)
	}
	if before, after := revisionOf(t, created), revisionOf(t, next); after < NextGeneration(before) {
		t.Errorf("revision %d follows %d; want one of the next generation", after, before)
	}
	// Who knows the store of before must begin anew.
	w, err := o.Watch(t.Context(), "/pods/", storage.ListOptions{ResourceVersion: created.ResourceVersion, Predicate: storage.Everything, Recursive: true})
	if err == nil {
		defer w.Stop()
		if event := <-w.ResultChan(); event.Type != watch.Error {
			t.Errorf("a watch from a revision of the store before goes on with %s of %v", event.Type, event.Object)
		}
	}
}

// TestStoreComesBack: the store that was served is served again without being accepted; one that only looks like it is not.
func TestStoreComesBack(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	first := direct(t, server.ClientURL())
	mustCreate(t, first, "ns", "a")
	names(t, first)
	mark := first.store.Served()

	wanted := Mark{Identity: mark.Identity, Revision: mark.Revision + 1}
	s, err := Open(t.Context(), Config{Conn: connect(t, server.ClientURL()), Cluster: testCluster, Expect: &wanted})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	eventually(t, "the store notices", func() bool { return s.Changed() != nil })
	select {
	case <-s.Alarm():
		t.Error("there is an alarm to wait for although the store has changed")
	default:
	}
	if back, err := s.Recheck(t.Context()); err != nil || back {
		t.Errorf("the end is still lost, and Recheck says %v, %v", back, err)
	}
	mustCreate(t, first, "ns", "b") // the end is back
	if back, err := s.Recheck(t.Context()); err != nil || !back {
		t.Errorf("Recheck of the right store: %v, %v", back, err)
	}
	eventually(t, "it is served", func() bool { return s.Ready(t.Context()) == nil })
	if got := names(t, s.newObjects(podResource())); got != "a= b= " {
		t.Errorf("objects are %q", got)
	}
}

// TestAcceptOnly: what was accepted is what is served, not what is there a moment later.
func TestAcceptOnly(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	o := direct(t, server.ClientURL())
	mustCreate(t, o, "ns", "a")
	names(t, o)
	mark := o.store.Served()
	o.store.AcceptOnly(Mark{Identity: "other", Revision: 1})
	eventually(t, "another store than the accepted one is refused", func() bool { return errors.Is(o.store.Changed(), ErrStoreChanged) })
	o.store.AcceptOnly(mark)
	eventually(t, "the accepted one is served", func() bool {
		_, err := o.store.Current(t.Context())
		return err == nil
	})
	if got := names(t, o); got != "a= " {
		t.Errorf("objects are %q", got)
	}
}

func TestNextGeneration(t *testing.T) {
	for served, want := range map[uint64]uint64{0: 1, 1: 1 << 40, 1 << 40: 2 << 40, 2<<40 - 1: 2 << 40, 2<<40 + 7: 3 << 40} {
		if got := NextGeneration(served); got != want {
			t.Errorf("after %d comes %d, want %d", served, got, want)
		}
	}
}

func revisionOf(t *testing.T, pod *example.Pod) uint64 {
	t.Helper()
	revision, err := storage.APIObjectVersioner{}.ObjectResourceVersion(pod)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}
