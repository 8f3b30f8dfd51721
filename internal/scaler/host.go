package scaler

import (
	"maps"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Host is a host as observed.
type Host struct {
	ID, Name string
	Labels   map[string]string
	// Components and Providers by id.
	Components map[string]Instance
	Providers  map[string]Instance
	// NoUpdate: the host cannot change the image of a running component.
	NoUpdate bool
	// Draining: the host is about to end. It takes nothing new, and what it runs is replaced elsewhere first.
	Draining bool
}

// Instance is a component or provider on one host.
type Instance struct {
	// Image as the host reports it; that of providers has no scheme.
	Image string
	// Count is the limit of concurrent invocations; 1 for providers.
	Count       uint32
	Annotations map[string]string
	// Accepted is the scaler id that the host took without showing it: hosts drop the annotations of a command that
	// changes nothing else.
	Accepted string
}

func (i Instance) equal(o Instance) bool {
	return i.Image == o.Image && i.Count == o.Count && i.Accepted == o.Accepted && maps.Equal(i.Annotations, o.Annotations)
}

// Application that the instance runs for; empty when wadm's annotations do not say.
func (i Instance) Application() string {
	if i.Annotations[lattice.AnnotationManagedBy] != lattice.ManagedByWadm {
		return ""
	}
	return i.Annotations[lattice.AnnotationAppSpec]
}

func (i Instance) scaler() string { return i.Annotations[lattice.AnnotationScaler] }

// HostFromInventory takes over what an inventory says.
func HostFromInventory(id string, inv lattice.Inventory) Host {
	h := Host{
		ID: id, Name: inv.FriendlyName, Labels: inv.Labels,
		Components: make(map[string]Instance, len(inv.Components)),
		Providers:  make(map[string]Instance, len(inv.Providers)),
	}
	for _, c := range inv.Components {
		// A limit of 0 is no running component.
		if c.MaxInstances > 0 {
			h.Components[c.ID] = Instance{Image: c.ImageRef, Count: c.MaxInstances, Annotations: c.Annotations}
		}
	}
	for _, p := range inv.Providers {
		h.Providers[p.ID] = Instance{Image: p.ImageRef, Count: 1, Annotations: p.Annotations}
	}
	return h
}

// load is how much a host carries already.
func (h *Host) load() int { return len(h.Components) + len(h.Providers) }
