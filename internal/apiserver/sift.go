package apiserver

import (
	"sync"

	"k8s.io/apimachinery/pkg/watch"
)

// sift passes the events of a watch through f. Other than with watch.Filter, a watch that is stopped with an event in hand
// ends.
func sift(events watch.Interface, f func(watch.Event) watch.Event) watch.Interface {
	s := &sifted{Interface: events, result: make(chan watch.Event), stopped: make(chan struct{})}
	go func() {
		defer close(s.result)
		for event := range events.ResultChan() {
			select {
			case s.result <- f(event):
			case <-s.stopped:
				return
			}
		}
	}()
	return s
}

type sifted struct {
	watch.Interface
	result  chan watch.Event
	stopped chan struct{}
	once    sync.Once
}

// ResultChan implements watch.Interface.
func (s *sifted) ResultChan() <-chan watch.Event { return s.result }

// Stop implements watch.Interface.
func (s *sifted) Stop() {
	s.once.Do(func() { close(s.stopped) })
	s.Interface.Stop()
}
