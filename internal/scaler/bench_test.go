package scaler

import (
	"fmt"
	"testing"

	"github.com/trellis-operator/trellis/internal/manifest"
)

// BenchmarkPlan is the cost of a look at one application that is as it should be, by the number of hosts.
func BenchmarkPlan(b *testing.B) {
	for _, hosts := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(hosts), func(b *testing.B) {
			l := NewLattice()
			for i := range hosts {
				l.SetHost(host(fmt.Sprintf("N%04d", i), "zone", fmt.Sprint(i%3)))
			}
			m := &manifest.Model{Name: "app", Components: []manifest.Component{{
				Name: "c", ID: "app-c", Kind: manifest.KindComponent, Image: "i",
				Scaler: &manifest.Scaler{ID: "s", Instances: 4, Spreads: []manifest.Spread{{Name: "default", Instances: 4}}},
			}}}
			for _, c := range Plan(Want{Model: m}, l).Commands {
				l.SetComponent(c.Host, c.ID, Instance{Image: c.Image, Count: c.Count, Annotations: c.Annotations})
			}
			b.ReportAllocs()
			for b.Loop() {
				if out := Plan(Want{Model: m}, l); !out.Converged {
					b.Fatal("not converged")
				}
			}
		})
	}
}
