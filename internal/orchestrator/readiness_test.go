package orchestrator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/conditions"
)

// Whoever waits for Ready after a change must not be told what was true of the version before, not even for a moment:
// neither when the version that should run has to be read first, nor before the new one was planned.
func TestReadyIsOfTheGenerationThatWasPlanned(t *testing.T) {
	inWorld(t, func(w *world) {
		var claims []string
		w.Subscribe(w.ctx, func(namespace, name string) {
			app := w.apps[appKey{namespace, name}]
			if app == nil || app.Status.ObservedGeneration != app.Generation || !conditions.IsTrue(app.Status.Conditions, conditions.Ready) {
				return
			}
			if claim := fmt.Sprintf("generation %d: %s", app.Generation, app.Status.DeployedVersion); !slices.Contains(claims, claim) {
				claims = append(claims, claim)
			}
		})
		w.start("NA", nil)
		w.orchestrate()
		w.pass(time.Second)
		w.apply(w.yaml(hello))
		w.pass(10 * time.Second)
		w.apply(w.yaml(second))
		w.pass(10 * time.Second)
		pinned := w.yaml(second)
		pinned.Annotations[v1beta1.DeployedVersionAnnotation] = "v1"
		w.apply(pinned)
		w.pass(10 * time.Second)
		impossible := strings.Replace(second, "properties: {instances: 4}", "properties: {instances: 4, spread: [{name: a, requirements: {zone: none}}]}", 1)
		w.apply(w.yaml(strings.Replace(impossible, "version: v2", "version: v3", 1)))
		w.pass(10 * time.Second)
		want := []string{"generation 1: v1", "generation 2: v2", "generation 3: v1"}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("ready were (-want +got):\n%s", diff)
		}
	})
}
