package orchestrator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// TestStatus_LateEcho: news of our own write of a status may take longer than hosts take to do all that was wanted. The
// next write neither waits for them nor loses a race against itself.
func TestStatus_LateEcho(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(10 * time.Second)
		w.api.late = 60 * time.Millisecond
		w.apply(w.yaml(hello))
		w.pass(150 * time.Millisecond) // the news of the application itself, and the hosts' work
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		if w.conflicts > 0 {
			t.Errorf("%d writes lost a race against our own", w.conflicts)
		}
		w.wantCounts(map[string]int{"hello-http": 4, "hello-server": 1})
	})
}

// TestStatus_ManyAtOnce: of many applications that change at once some are written at a time, each as it is when its turn
// comes, and an Event is made once although what was written is slow to come back.
func TestStatus_ManyAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.orchestrate()
		w.pass(10 * time.Second)
		w.api.slow, w.api.late = 100*time.Millisecond, 300*time.Millisecond
		const apps = 50
		for i := range apps {
			w.apply(w.yaml(strings.ReplaceAll(hello, "name: hello", fmt.Sprintf("name: hello-%d", i))))
		}
		w.pass(time.Minute)
		for i := range apps {
			w.wantPhase(fmt.Sprintf("hello-%d", i), v1beta1.PhaseDeployed)
		}
		if w.api.most != writesAtOnce {
			t.Errorf("%d statuses were written at a time, want %d", w.api.most, writesAtOnce)
		}
		if n := w.statusWrites(); n > apps+writesAtOnce || w.conflicts > 0 {
			t.Errorf("%d applications took %d writes, %d of them against our own", apps, n, w.conflicts)
		}
		if n := len(w.told[ReasonDeployed]); n != apps {
			t.Errorf("told %d times that one of %d is deployed", n, apps)
		}
	})
}
