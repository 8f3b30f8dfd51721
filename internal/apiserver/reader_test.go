package apiserver

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// TestReader_SharesWithTheWatchCache: what the process keeps of an application is what the watch cache keeps of it, also when
// several watches make the cache wrap it.
func TestReader_SharesWithTheWatchCache(t *testing.T) {
	w := start(t)
	apps := w.apps("default")
	for i := range 4 { // from three watches on, events are encoded once for all
		events, err := apps.Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(events.Stop)
		if _, err := apps.Create(t.Context(), hello(fmt.Sprintf("before-%d", i)), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	reader := w.server.Reader()
	var list *v1beta1.ApplicationList
	w.eventually("the reader lists", func() (err error) {
		list, err = reader.List(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
		if err == nil && len(list.Items) != 4 {
			err = fmt.Errorf("%d applications", len(list.Items))
		}
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := reader.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	made, err := apps.Create(t.Context(), hello("hello"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	event := <-events.ResultChan()
	app, ok := event.Object.(*v1beta1.Application)
	if !ok || event.Type != watch.Added || app.Name != "hello" || app.ResourceVersion != made.GetResourceVersion() {
		t.Fatalf("event = %v %T %+v", event.Type, event.Object, app)
	}
	again, err := reader.List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range again.Items {
		if kept.Name == "hello" && &kept.Spec.Components[0] != &app.Spec.Components[0] {
			t.Error("the application was copied")
		}
	}
	if err := apps.Delete(t.Context(), "hello", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if event := <-events.ResultChan(); event.Type != watch.Deleted || event.Object.(*v1beta1.Application).Name != "hello" {
		t.Errorf("event = %v %+v", event.Type, event.Object)
	}
	cancel()
	if _, open := <-events.ResultChan(); open {
		t.Error("the watch goes on after its context")
	}
}
