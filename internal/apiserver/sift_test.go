package apiserver

import (
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/watch"
)

// TestSift: events come changed and in order, and a watch that is stopped ends, with an event in hand as well.
func TestSift(t *testing.T) {
	for name, read := range map[string]int{"all": 2, "one": 1, "none": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				events := watch.NewFakeWithChanSize(2, false)
				events.Add(nil)
				events.Delete(nil)
				s := sift(events, func(e watch.Event) watch.Event {
					e.Type += "!"
					return e
				})
				for _, want := range []watch.EventType{"ADDED!", "DELETED!"}[:read] {
					if got := <-s.ResultChan(); got.Type != want {
						t.Errorf("event = %q, want %q", got.Type, want)
					}
				}
				synctest.Wait()
				s.Stop()
				s.Stop()
				for range s.ResultChan() { // until it ends
				}
			})
		})
	}
}
