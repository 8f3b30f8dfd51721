package apiserver

import (
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/trellis-operator/trellis/internal/store"
)

// TestStoreChanged: reads and writes answer 503 with the reason and the next step, cached ones too and at once; discovery
// goes on; after accept everything does, for informers of before as well.
func TestStoreChanged(t *testing.T) {
	w := start(t)
	apps := w.dynamic().Resource(applicationsGVR).Namespace("team-a")
	created, err := apps.Create(t.Context(), hello("a"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	open, err := apps.Watch(t.Context(), metav1.ListOptions{ResourceVersion: created.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop()
	mark := w.store.Served()
	w.store.AcceptOnly(store.Mark{Identity: "another", Revision: 1})
	w.eventually("the store has changed", func() error {
		if w.store.Changed() == nil {
			return errors.New("not noticed yet")
		}
		return nil
	})

	began := time.Now()
	for what, call := range map[string]func() error{
		"get": func() error { _, err := apps.Get(t.Context(), "a", metav1.GetOptions{}); return err },
		"cached get": func() error {
			_, err := apps.Get(t.Context(), "a", metav1.GetOptions{ResourceVersion: "0"})
			return err
		},
		"cached list": func() error { _, err := apps.List(t.Context(), metav1.ListOptions{ResourceVersion: "0"}); return err },
		"watch":       func() error { _, err := apps.Watch(t.Context(), metav1.ListOptions{}); return err },
		"create":      func() error { _, err := apps.Create(t.Context(), hello("b"), metav1.CreateOptions{}); return err },
		"delete":      func() error { return apps.Delete(t.Context(), "a", metav1.DeleteOptions{}) },
		"revisions": func() error {
			_, err := w.dynamic().Resource(revisionsGVR).Namespace("team-a").List(t.Context(), metav1.ListOptions{})
			return err
		},
	} {
		err := call()
		if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "StoreChanged") ||
			!strings.Contains(err.Error(), "trellis store accept") || !apierrors.HasStatusCause(err, store.CauseStoreChanged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the answers took %s: a client waits where somebody must decide", took)
	}
	if err := w.get("/readyz"); err == nil || !strings.Contains(err.Error(), "[-]store-changed") {
		t.Errorf("/readyz: %v", err)
	}
	for _, path := range []string{"/readyz?exclude=store-changed", "/livez", "/apis/core.oam.dev/v1beta1", "/openapi/v3"} {
		if err := w.get(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}

	w.store.AcceptOnly(mark)
	w.eventually("writes go on", func() error { _, err := apps.Create(t.Context(), hello("b"), metav1.CreateOptions{}); return err })
	for event := range open.ResultChan() {
		if event.Type != watch.Error {
			t.Errorf("a watch of before accept goes on with %s", event.Type)
		}
	}
	w.eventually("/readyz", func() error { return w.get("/readyz") })
}

// TestWatchFromTheFuture: a revision that this store never had is expired, not waited for.
func TestWatchFromTheFuture(t *testing.T) {
	w := start(t)
	apps := w.dynamic().Resource(applicationsGVR).Namespace("team-a")
	if _, err := apps.Create(t.Context(), hello("a"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := apps.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "1000000"}); !apierrors.IsResourceExpired(err) {
		t.Errorf("a watch from revision 1000000: %v", err)
	}
}
