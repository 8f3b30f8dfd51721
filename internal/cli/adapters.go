package cli

import (
	"context"
	"slices"

	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/ledger"
	"github.com/trellis-operator/trellis/internal/orchestrator"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

// The parts declare what they need in their own words. Here stands who provides it.
var (
	_ apiserver.Bindings     = bindingsForAPI{}
	_ apiserver.Claims       = ledgersForAPI{}
	_ apiserver.HeldClaims   = ledgersForAPI{}
	_ apiserver.Teardowns    = ledgersForAPI{}
	_ orchestrator.Teardowns = teardownsForOrchestrator{}
	_ wadmapi.Homes          = homesForWash{}
)

// bindingsForAPI resolves lattices for the API server.
type bindingsForAPI struct{ set *binding.Set }

func (b bindingsForAPI) Resolve(namespace, named string) apiserver.Resolution {
	r := b.set.Resolve(namespace, named)
	return apiserver.Resolution{Lattice: r.Lattice, Reason: string(r.Reason), Message: r.Message}
}

func (b bindingsForAPI) Changed() <-chan struct{} { return b.set.Changed() }

// teardownsForOrchestrator shows the orchestrator of a lattice the records of its own cluster.
type teardownsForOrchestrator struct {
	ledger  *ledger.Ledger
	cluster string
}

func (t teardownsForOrchestrator) Watch(ctx context.Context, handle func(orchestrator.TeardownChange)) (done <-chan struct{}) {
	return t.ledger.WatchTeardowns(ctx, t.cluster, func(c ledger.TeardownChange) {
		handle(orchestrator.TeardownChange{
			Kind: changeKinds[c.Kind], Name: c.Teardown.ID, Time: c.Teardown.Created, Value: teardownOf(c.Teardown),
		})
	})
}

func (t teardownsForOrchestrator) Remove(ctx context.Context, id string) error {
	return t.ledger.RemoveTeardown(ctx, t.cluster, id)
}

var changeKinds = map[ledger.ChangeKind]lattice.ChangeKind{
	ledger.Reset: lattice.ChangeReset, ledger.Put: lattice.ChangePut,
	ledger.Delete: lattice.ChangeDelete, ledger.Synced: lattice.ChangeSynced,
}

func teardownOf(t ledger.Teardown) orchestrator.Teardown {
	out := orchestrator.Teardown{
		Namespace: t.Namespace, Application: t.Application, UID: t.UID,
		IDs: slices.Concat(t.Components, t.Providers), Configs: t.Configs, Hosts: t.Hosts, Pods: t.Pods,
	}
	for _, k := range t.Links {
		out.Links = append(out.Links, lattice.LinkKey{SourceID: k.Source, Name: k.Name, WitNamespace: k.Namespace, WitPackage: k.Package})
	}
	return out
}
