package manifest_test

import (
	"slices"
	"testing"

	"github.com/trellis-operator/trellis/internal/manifest"
)

func TestPortClashes_OfTwoApplications(t *testing.T) {
	in := func(zone string) string {
		return "|{type: spreadscaler, properties: {instances: 1, spread: [{name: s, requirements: {zone: " + zone + "}}]}}"
	}
	mine := wadmApp(t, "{name: mine, annotations: {}}", "", serverOn("s", in("a"), "0.0.0.0:8080", "0.0.0.0:9090"))
	if got := manifest.Ports(mine); !slices.Equal(got, []uint16{8080, 9090}) {
		t.Errorf("ports = %v", got)
	}
	for name, c := range map[string]struct {
		theirs string
		want   []uint16
	}{
		"another port":     {serverOn("r", in("a"), "0.0.0.0:7070"), nil},
		"other hosts":      {serverOn("r", in("b"), "0.0.0.0:8080"), nil},
		"one port":         {serverOn("r", in("a"), "0.0.0.0:8080"), []uint16{8080}},
		"any host, both":   {serverOn("r", "", "0.0.0.0:9090", "0.0.0.0:8080"), []uint16{8080, 9090}},
		"not an HTTP one":  {"{name: r, type: capability, properties: {image: x}}", nil},
		"others configure": {serverOn("r", ", config: [{name: c}]", "0.0.0.0:8080"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []uint16
			for _, clash := range manifest.PortClashes(mine, wadmApp(t, "{name: theirs, annotations: {}}", "", c.theirs)) {
				got = append(got, clash.Port)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("clashes on %v, want %v", got, c.want)
			}
		})
	}
}
