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
	if _, err := create(t.Context(), o, "ns", "b"); !errors.Is(err, ErrUnavailable) {
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
