package cli

import (
	"context"
	"testing"
	"time"
)

func TestPodDeathsReachWhoeverWatches(t *testing.T) {
	deaths := newPodDeaths()
	ctx, cancel := context.WithCancel(t.Context())
	var first, second []string
	deaths.Watch(ctx, func(_, value string) { first = append(first, value) })
	deaths.Watch(t.Context(), func(_, value string) { second = append(second, value) })
	deaths.tell("uid", "a")
	cancel()
	for deadline := time.Now().Add(10 * time.Second); ; {
		deaths.mu.Lock()
		left := len(deaths.watchers)
		deaths.mu.Unlock()
		if left == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a watcher stays after its context ended")
		}
	}
	deaths.tell("uid", "b")
	if len(first) != 1 || len(second) != 2 {
		t.Errorf("first heard %v, second %v; want one and two", first, second)
	}
}
