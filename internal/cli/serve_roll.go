package cli

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// rollInterval is how often the hosts of host groups are called. With two timeouts of serveWindow it bounds how late a
// leaf that lost its hub is noticed; heartbeats would tell a minute later.
const rollInterval = 4 * time.Second

// rollCall lets the one replica that writes the status of host groups call their hosts.
type rollCall struct {
	observers *observers
	groups    client.Reader
}

// Start calls until ctx ends.
func (r *rollCall) Start(ctx context.Context) error {
	ticker := time.NewTicker(rollInterval)
	defer ticker.Stop()
	done := make(chan string)
	calling := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			for range calling {
				<-done // each ends with ctx
			}
			return nil
		case lattice := <-done:
			delete(calling, lattice)
		case <-ticker.C:
			for _, lattice := range r.lattices(ctx) {
				if !calling[lattice] {
					calling[lattice] = true
					go func() { r.call(ctx, lattice); done <- lattice }()
				}
			}
		}
	}
}

func (r *rollCall) lattices(ctx context.Context) []string {
	var list v1alpha1.WasmCloudHostConfigList
	if err := r.groups.List(ctx, &list); err != nil {
		return nil // the cache ends with ctx
	}
	seen := map[string]bool{}
	var out []string
	for i := range list.Items {
		if name := list.Items[i].Spec.Lattice; !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

func (r *rollCall) call(ctx context.Context, lattice string) {
	view, err := r.observers.get(lattice)
	if err != nil {
		return // not connected: the status says so already
	}
	if err := view.census.Roll(ctx); err != nil && ctx.Err() == nil {
		logr.FromContextOrDiscard(ctx).V(1).Info("The hosts of a lattice could not be called", "lattice", lattice, "reason", err.Error())
	}
}
