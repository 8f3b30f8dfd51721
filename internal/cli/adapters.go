package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

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

// ledgersForAPI writes the API server's claims and teardowns into the ledger of their lattice.
type ledgersForAPI struct{ lattices *lattices }

func (l ledgersForAPI) Claim(ctx context.Context, name string, claim apiserver.Claim, owner apiserver.Owner) error {
	link, err := l.lattices.link(ctx, name)
	if err != nil {
		return err
	}
	err = link.ledger.Claim(ctx, string(claim.Kind), claim.Name, ledger.Owner{
		Cluster: l.lattices.cluster, Namespace: owner.Namespace, Name: owner.Name, UID: string(owner.UID),
	})
	var claimed *ledger.ClaimedError
	if errors.As(err, &claimed) {
		holder := apiserver.Owner{Namespace: claimed.Owner.Namespace, Name: claimed.Owner.Name, UID: types.UID(claimed.Owner.UID)}
		return &apiserver.ClaimedError{Claim: claim, Holder: holder}
	}
	return err
}

func (l ledgersForAPI) PutTeardown(ctx context.Context, t apiserver.Teardown) error {
	link, err := l.lattices.link(ctx, t.Lattice)
	if err != nil {
		return err
	}
	record := ledger.Teardown{
		Cluster: l.lattices.cluster, ID: t.ID, Lattice: t.Lattice, Version: t.Version,
		Namespace: t.Application.Namespace, Application: t.Application.Name, UID: string(t.Application.UID),
		Components: t.Components, Providers: t.Providers, Configs: t.Configs, Hosts: t.Hosts,
	}
	for _, k := range t.Links {
		record.Links = append(record.Links, ledger.Link(k))
	}
	return link.ledger.PutTeardown(ctx, record)
}

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
		IDs: slices.Concat(t.Components, t.Providers), Configs: t.Configs, Hosts: t.Hosts,
	}
	for _, k := range t.Links {
		out.Links = append(out.Links, lattice.LinkKey{SourceID: k.Source, Name: k.Name, WitNamespace: k.Namespace, WitPackage: k.Package})
	}
	return out
}

// homesForWash finds the namespace in which wash makes new applications: the recorded one, else that of the binding,
// which is recorded then.
type homesForWash struct {
	set      *binding.Set
	lattices *lattices
}

func (h homesForWash) HomeNamespace(ctx context.Context, name string) (string, error) {
	link, err := h.lattices.link(ctx, name)
	if err != nil {
		return "", err
	}
	home, err := link.ledger.Home(ctx, h.lattices.cluster)
	if err != nil {
		return "", fmt.Errorf("read the home namespace of lattice %q: %w", name, err)
	}
	if home.Namespace != "" {
		return home.Namespace, nil
	}
	elected, ok := h.set.Home(name)
	if !ok {
		return "", wadmapi.ErrNoHome
	}
	home.Namespace = elected
	err = link.ledger.SetHome(ctx, h.lattices.cluster, home)
	if errors.Is(err, ledger.ErrHomeChanged) {
		home, err = link.ledger.Home(ctx, h.lattices.cluster) // another replica was faster
	}
	return home.Namespace, err
}
