//go:build conformance && linux

package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

// checkInformer follows objects as controllers do, by client-go's own informer.
func checkInformer(r *transcript) {
	r.must(http.MethodPost, "", r.app("before"))
	var mu sync.Mutex
	var heard []string
	told := func(what string) func(any) {
		return func(obj any) {
			mu.Lock()
			defer mu.Unlock()
			u, ok := obj.(*unstructured.Unstructured)
			if !ok {
				heard = append(heard, fmt.Sprintf("%s %T", what, obj))
				return
			}
			heard = append(heard, fmt.Sprintf("%s %s %s", what, u.GetName(), u.GetKind()))
		}
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(r.any, 0, r.namespace, nil)
	informer := factory.ForResource(r.kind.resource()).Informer()
	updated := told("updated")
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: told("added"), DeleteFunc: told("deleted"), UpdateFunc: func(_, now any) { updated(now) },
	}); err != nil {
		r.t.Fatal(err)
	}
	factory.Start(r.t.Context().Done())
	factory.WaitForCacheSync(r.t.Context().Done())
	r.must(http.MethodPost, "", r.app("during"))
	r.must(http.MethodPatch, "/before", `{"metadata":{"labels":{"a":"b"}}}`, mergePatch)
	r.must(http.MethodDelete, "/during", nil)
	want := []string{"added before Application", "added during Application", "updated before Application", "deleted during Application"}
	eventually(r.t, "the informer has heard everything", func() string {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(heard, want) {
			return fmt.Sprint(heard)
		}
		return ""
	})
	r.note("events", want)
	r.note("what it holds", fmt.Sprint(informer.GetStore().ListKeys()))
}
