package manifest

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// PortClash is a port that HTTP servers of two applications want on a host where both may run.
type PortClash struct {
	// Path is where the one application sets it.
	Path *field.Path
	Port uint16
}

// Ports are the ports that HTTP servers of an application listen on, each once, as far as its manifest says so.
func Ports(app *v1beta1.Application) []uint16 {
	var out []uint16
	for _, l := range allListeners(app) {
		if !slices.Contains(out, l.address.Port()) {
			out = append(out, l.address.Port())
		}
	}
	return out
}

// PortClashes finds the ports of an application that another one wants as well.
func PortClashes(app, other *v1beta1.Application) []PortClash {
	var out []PortClash
	theirs := allListeners(other)
	for _, l := range allListeners(app) {
		if slices.ContainsFunc(theirs, func(o listener) bool { return sameSocket(l.address, o.address) && mayMeet(l.component, o.component) }) {
			out = append(out, PortClash{Path: l.path, Port: l.address.Port()})
		}
	}
	return out
}

func allListeners(app *v1beta1.Application) []listener {
	c := newCheck(app)
	components := field.NewPath("spec", "components")
	var out []listener
	for i := range app.Spec.Components {
		out = append(out, c.listeners(components.Index(i), &app.Spec.Components[i])...)
	}
	return out
}
