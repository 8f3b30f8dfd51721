package apiserver

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/warning"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// Ports knows which ports the manifests of applications want.
type Ports interface {
	// Listening returns the applications of a lattice with an HTTP server on that port. They may be a moment old, and are
	// not to be changed.
	Listening(lattice string, port uint16) []*v1beta1.Application
}

// maxPortWarnings keeps an answer short where many applications share a port.
const maxPortWarnings = 3

// warnOfPorts tells whoever writes a spec that another application of the lattice wants a port of it on the same hosts. It
// is no error: hosts may be many, and the condition Exposed says if two really meet.
func (l *lifecycle) warnOfPorts(ctx context.Context, old, app *v1beta1.Application) {
	if l.ports == nil || app.Status.Lattice == "" || manifest.Deployed(app.Annotations).Undeployed {
		return
	}
	if old != nil && old.Status.Lattice == app.Status.Lattice && sameSpec(&old.Spec, &app.Spec) {
		return
	}
	warned := 0
	for _, port := range manifest.Ports(app) {
		for _, other := range l.ports.Listening(app.Status.Lattice, port) {
			if other.Namespace == app.Namespace && other.Name == app.Name || manifest.Deployed(other.Annotations).Undeployed {
				continue
			}
			for _, clash := range manifest.PortClashes(app, other) {
				if clash.Port != port {
					continue
				}
				if warned++; warned > maxPortWarnings {
					return
				}
				warning.AddWarning(ctx, "", fmt.Sprintf("%s: %s listens on port %d as well: where both run on one host, only one of them is served; "+
					"give %q another port, or keep the two on different hosts", clash.Path, l.nameOf(ctx, other), port, app.Name))
			}
		}
	}
}

// nameOf names an application to those only who may read it.
func (l *lifecycle) nameOf(ctx context.Context, app *v1beta1.Application) string {
	if l.mayRead(ctx, Owner{Namespace: app.Namespace, Name: app.Name, UID: app.UID}) {
		return fmt.Sprintf("application %q in namespace %q", app.Name, app.Namespace)
	}
	return "another application of the lattice"
}
