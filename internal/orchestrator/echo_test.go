package orchestrator

import (
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
