package store

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"

	"github.com/trellis-operator/trellis/internal/natsd"
)

// TestReserve: a store that is full says so, and a compaction makes room although its record is a write too.
func TestReserve(t *testing.T) {
	server := natsd.Run(t, natsd.Options{MaxFile: 3 << 20})
	s := openStore(t, server.ClientURL(), func(c *Config) { c.Memory, c.History = false, time.Nanosecond })
	o := s.newObjects(podResource())
	large := strings.Repeat("x", 400<<10)
	update := func(n int) error {
		return o.GuaranteedUpdate(t.Context(), "/pods/ns/a", &example.Pod{}, true, nil, storage.SimpleUpdate(
			func(runtime.Object) (runtime.Object, error) {
				pod := makePod("ns", "a")
				pod.Labels, pod.Annotations = map[string]string{"n": fmt.Sprint(n)}, map[string]string{"large": large}
				return pod, nil
			}), nil)
	}
	if err := s.compactOnce(t.Context()); err != nil {
		t.Fatalf("write the reserve: %v", err)
	}
	var err error
	for n := 0; n < 100 && err == nil; n++ {
		err = update(n)
	}
	var status apierrors.APIStatus
	if !errors.Is(err, ErrFull) || !errors.As(err, &status) || status.Status().Code != http.StatusInsufficientStorage {
		t.Fatalf("the answer of a full store is %v", err)
	}
	before := s.index.reserved()
	if before == 0 {
		t.Fatal("there is no reserve")
	}
	if err := s.compactOnce(t.Context()); err != nil {
		t.Fatalf("compact a full store: %v", err)
	}
	if err := update(101); err != nil {
		t.Errorf("a write after the compaction: %v", err)
	}
	eventually(t, "there is a reserve again", func() bool { return s.index.reserved() > before })
}
