package scaler

import (
	"testing"

	"github.com/trellis-operator/trellis/internal/manifest"
)

// Every command that scales names what it is for: old hosts took one without annotations for one about all instances.
func TestPlan_CommandsCarryAnnotations(t *testing.T) {
	for _, file := range deployable {
		l, m := newLab(regions()...), fixture(t, file)
		l.SetHost(host("NZ", "edge", "true", "zone", "us-east-1"))
		bring(l, m)
		rounds := l.settle(t, Want{Model: m})
		rounds = append(rounds, l.settle(t, Want{Model: &manifest.Model{Name: m.Name}, Retired: retired(m)})...)
		for _, round := range rounds {
			for _, c := range round {
				if (c.Verb == Scale || c.Verb == StartProvider) && (c.Annotations["wasmcloud.dev/appspec"] != m.Name || c.Annotations["wasmcloud.dev/managed-by"] != "wadm") {
					t.Errorf("%s: %+v", file, c)
				}
			}
		}
	}
}
