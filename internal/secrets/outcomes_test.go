package secrets_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// heard is what a watch told since it last began anew.
type heard struct {
	mu     sync.Mutex
	resets int
	synced bool
	all    []secrets.Outcome
}

func (h *heard) watch() secrets.OutcomeWatch {
	locked := func(f func()) { h.mu.Lock(); defer h.mu.Unlock(); f() }
	return secrets.OutcomeWatch{
		Reset:  func() { locked(func() { h.resets++; h.all, h.synced = nil, false }) },
		Noted:  func(o secrets.Outcome) { locked(func() { h.all = append(h.all, o) }) },
		Synced: func() { locked(func() { h.synced = true }) },
	}
}

// await waits until the watch is complete and told n outcomes, and returns those by their text.
func (h *heard) await(t *testing.T, n int) []secrets.Outcome {
	t.Helper()
	var all []secrets.Outcome
	until(t, "the outcomes are told", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		all = slices.Clone(h.all)
		return h.synced && len(all) == n
	})
	return all
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not come: " + what)
		}
	}
}

func newOutcomes(t *testing.T, url, cluster string) *secrets.Outcomes {
	t.Helper()
	o, err := secrets.NewOutcomes(connect(t, url), "", 1, cluster)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return o
}

func outcome(host, version string) secrets.Outcome {
	return secrets.Outcome{
		Lattice: "default", Namespace: "team-a", Application: "shop", Component: "api", Host: host, Version: version,
		Reference: secrets.NewReference("pg", "password", "", map[string]string{"namespace": "vault"}),
	}
}

var anyTime = cmpopts.IgnoreFields(secrets.Outcome{}, "Time", "Revision")

// TestOutcomes: whoever watches hears what replicas note, the last of each only, and of his own cluster and lattice.
func TestOutcomes(t *testing.T) {
	url := natsd.Run(t, natsd.Options{StoreDir: t.TempDir()}).ClientURL()
	one, two := newOutcomes(t, url, "mine"), newOutcomes(t, url, "mine")
	refused := outcome("N1", "")
	refused.Kind, refused.Reason = secrets.Unauthorized, "nobody lets it in"
	elsewhere := outcome("N1", "1")
	elsewhere.Lattice = "def"
	newOutcomes(t, url, "theirs").Record(outcome("N1", "9"))
	first := &heard{}
	one.Watch(t.Context(), "default", first.watch())
	one.Record(elsewhere)
	one.Record(outcome("N1", "1"))
	first.await(t, 1)
	two.Record(outcome("N1", "2"))
	first.await(t, 2)
	two.Record(refused)
	two.Record(outcome("N2", "2"))
	got := first.await(t, 4)
	want := []secrets.Outcome{outcome("N1", "1"), outcome("N1", "2"), refused, outcome("N2", "2")}
	if diff := cmp.Diff(want, got, anyTime); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got[0].Time.IsZero() || got[1].Time.Before(got[0].Time) {
		t.Errorf("noted at %v, then at %v", got[0].Time, got[1].Time)
	}
	for _, o := range []secrets.Outcome{got[3], got[0]} { // the second was noted anew, and stays
		if err := one.Remove(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	second := &heard{}
	two.Watch(t.Context(), "default", second.watch())
	if diff := cmp.Diff(want[1:3], second.await(t, 2), anyTime); diff != "" {
		t.Errorf("a later watch: -want +got\n%s", diff)
	}
}

// TestOutcomes_BucketIsGone: what is recorded after the loss of the bucket is in a new one.
func TestOutcomes_BucketIsGone(t *testing.T) {
	url := natsd.Run(t, natsd.Options{StoreDir: t.TempDir()}).ClientURL()
	o := newOutcomes(t, url, "mine")
	before := &heard{}
	o.Watch(t.Context(), "default", before.watch())
	o.Record(outcome("N1", "1"))
	before.await(t, 1)
	js, err := jetstream.New(connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), secrets.OutcomesBucket); err != nil {
		t.Fatal(err)
	}
	o.Record(outcome("N1", "2"))
	after := &heard{}
	o.Watch(t.Context(), "default", after.watch())
	if got := after.await(t, 1); got[0].Version != "2" {
		t.Errorf("told %v", got)
	}
}

// TestOutcomes_TooLarge: one that no bucket takes stops none of those behind it.
func TestOutcomes_TooLarge(t *testing.T) {
	url := natsd.Run(t, natsd.Options{StoreDir: t.TempDir()}).ClientURL()
	o := newOutcomes(t, url, "mine")
	large := outcome("N1", "1")
	large.Reference.Policy = string(make([]byte, 10<<10))
	o.Record(large)
	o.Record(outcome("N2", "1"))
	h := &heard{}
	o.Watch(t.Context(), "default", h.watch())
	if got := h.await(t, 1); got[0].Host != "N2" {
		t.Errorf("told %v", got)
	}
}

// TestNewReference: only what is equal to the letter is one reference.
func TestNewReference(t *testing.T) {
	a := secrets.NewReference("pg", "password", "", map[string]string{"namespace": "a", "encoding": "text"})
	for name, b := range map[string]secrets.Reference{
		"another field":    secrets.NewReference("pg", "user", "", map[string]string{"namespace": "a", "encoding": "text"}),
		"another property": secrets.NewReference("pg", "password", "", map[string]string{"namespace": "b", "encoding": "text"}),
		"no properties":    secrets.NewReference("pg", "password", "", nil),
		"a version":        secrets.NewReference("pg", "password", "7", map[string]string{"namespace": "a", "encoding": "text"}),
	} {
		if a == b {
			t.Errorf("%s: %v is the same", name, b)
		}
	}
	if b := secrets.NewReference("pg", "password", "", map[string]string{"encoding": "text", "namespace": "a"}); a != b {
		t.Errorf("%v is another than %v", b, a)
	}
	if secrets.NewReference("pg", "", "", nil) != secrets.NewReference("pg", "", "", map[string]string{}) {
		t.Error("no properties are others than none")
	}
}
