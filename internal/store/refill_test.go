package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
)

// TestRefill: a stream that is filled from another holds what lives there, nothing that was deleted or superseded, under
// revisions that nobody has seen; what served the one before notices, and serves it once it is accepted.
func TestRefill(t *testing.T) {
	old, now := natsd.Run(t, natsd.Options{}), natsd.Run(t, natsd.Options{})
	source := direct(t, old.ClientURL())
	for n := range 300 { // more than the window
		mustCreate(t, source, "ns", fmt.Sprintf("pod-%03d", n))
	}
	for n := range 100 {
		if err := source.Delete(t.Context(), fmt.Sprintf("/pods/ns/pod-%03d", n), &example.Pod{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			mustCreate(t, source, "ns", fmt.Sprintf("pod-%03d", n))
		}
	}
	want := names(t, source)
	from := Config{Conn: connect(t, old.ClientURL())}
	found, err := Describe(t.Context(), from)
	if err != nil || !found.Exists || found.Identity != source.store.Identity() || len(found.Clusters) != 1 || found.Clusters[0] != testCluster || found.Objects == 0 {
		t.Fatalf("the source is %+v, %v", found, err)
	}

	target := Config{Conn: connect(t, now.ClientURL()), Memory: true}
	if nothing, err := Describe(t.Context(), target); err != nil || nothing.Exists {
		t.Fatalf("an empty place is %+v, %v", nothing, err)
	}
	made, err := Refill(t.Context(), target, from, found.Revision, false)
	if err != nil {
		t.Fatal(err)
	}
	if made.Identity == found.Identity || made.Revision < NextGeneration(found.Revision) {
		t.Errorf("made %+v of %+v", made, found.Mark)
	}
	served := direct(t, now.ClientURL())
	if got := names(t, served); got != want {
		t.Errorf("objects are %q\nwant %q", got, want)
	}
	mustCreate(t, served, "ns", "later")
	if _, err := Refill(t.Context(), target, from, found.Revision, false); err == nil {
		t.Error("an existing stream was replaced without being asked")
	}
	mark := served.store.Served()
	again, err := Refill(t.Context(), target, from, mark.Revision, true)
	if err != nil || again.Revision < NextGeneration(mark.Revision) {
		t.Fatalf("replaced: %+v, %v", again, err)
	}
	eventually(t, "the store is changed", func() bool {
		_, err := served.store.Current(t.Context())
		return errors.Is(err, ErrStoreChanged)
	})
	served.store.AcceptOnly(again)
	eventually(t, "it is served", func() bool { _, err := served.store.Current(t.Context()); return err == nil })
	if got := names(t, served); got != want {
		t.Errorf("after accept objects are %q\nwant %q", got, want)
	}
}

// TestRefill_Interrupted: a stream that is only half filled is not served, whoever accepts what.
func TestRefill_Interrupted(t *testing.T) {
	server := natsd.Run(t, natsd.Options{})
	cfg := Config{Conn: connect(t, server.ClientURL()), Cluster: testCluster, Stream: DefaultStream, Replicas: 1, Memory: true, Timeout: shortTimeout}
	js, err := newJetStream(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), cfg.stream("half", 1<<40, formatRestoring)); err != nil {
		t.Fatal(err)
	}
	if found, err := Describe(t.Context(), cfg); err != nil || !found.Restoring {
		t.Errorf("it is %+v, %v", found, err)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Accept()
	eventually(t, "it says why", func() bool {
		_, err := s.Current(t.Context())
		return err != nil && strings.Contains(err.Error(), "restore --replace")
	})
	if _, err := s.Found(t.Context()); err == nil {
		t.Error("a half store can be accepted")
	}
}
