package cli

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/ledger"
)

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

// Lattices are those that this process is connected to: all that are bound, and those that were.
func (l ledgersForAPI) Lattices() []string { return l.lattices.names() }

func (l ledgersForAPI) HeldClaims(ctx context.Context, name string) ([]apiserver.HeldClaim, error) {
	link, err := l.lattices.link(ctx, name)
	if err != nil {
		return nil, err
	}
	claims, err := link.ledger.Claims(ctx, l.lattices.cluster)
	if err != nil {
		return nil, err
	}
	out := make([]apiserver.HeldClaim, 0, len(claims))
	for _, c := range claims {
		out = append(out, apiserver.HeldClaim{
			Claim:    apiserver.Claim{Kind: apiserver.ClaimKind(c.Kind), Name: c.Name},
			Owner:    apiserver.Owner{Namespace: c.Owner.Namespace, Name: c.Owner.Name, UID: types.UID(c.UID)},
			Revision: c.Revision, Since: c.Since,
		})
	}
	return out, nil
}

func (l ledgersForAPI) FreeClaim(ctx context.Context, name string, claim apiserver.HeldClaim) error {
	link, err := l.lattices.link(ctx, name)
	if err != nil {
		return err
	}
	err = link.ledger.Free(ctx, ledger.Claim{Kind: string(claim.Kind), Name: claim.Claim.Name, Revision: claim.Revision})
	if errors.Is(err, ledger.ErrClaimChanged) {
		return apiserver.ErrClaimChanged
	}
	return err
}

func (l ledgersForAPI) OpenTeardowns(ctx context.Context, name string) ([]types.NamespacedName, error) {
	link, err := l.lattices.link(ctx, name)
	if err != nil {
		return nil, err
	}
	records, err := link.ledger.ListTeardowns(ctx, l.lattices.cluster)
	out := make([]types.NamespacedName, 0, len(records))
	for _, t := range records {
		out = append(out, types.NamespacedName{Namespace: t.Namespace, Name: t.Application})
	}
	return out, err
}

func (l ledgersForAPI) PutTeardown(ctx context.Context, t apiserver.Teardown) error {
	link, err := l.lattices.link(ctx, t.Lattice)
	if err != nil {
		return err
	}
	record := ledger.Teardown{
		Cluster: l.lattices.cluster, ID: t.ID, Lattice: t.Lattice, Version: t.Version,
		Namespace: t.Application.Namespace, Application: t.Application.Name, UID: string(t.Application.UID),
		Components: t.Components, Providers: t.Providers, Configs: t.Configs, Hosts: t.Hosts, Pods: map[string]string{},
	}
	for host, uid := range t.Pods {
		record.Pods[host] = string(uid)
	}
	for _, k := range t.Links {
		record.Links = append(record.Links, ledger.Link(k))
	}
	return link.ledger.PutTeardown(ctx, record)
}
