package apiserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Bindings finds the lattice of an application.
type Bindings interface {
	// Resolve answers for a namespace; named is the lattice that the application asks for, or empty.
	Resolve(namespace, named string) Resolution
	// Changed is closed at the next change of what Resolve answers; ask again for the one after.
	Changed() <-chan struct{}
}

// Resolution is the answer to "which lattice".
type Resolution struct {
	// Lattice is empty when none was found.
	Lattice string
	// Reason is the reason of condition LatticeResolved.
	Reason string
	// Message is a sentence with the next step.
	Message string
}

// Owner is who holds a claim.
type Owner struct {
	Namespace, Name string
	UID             types.UID
}

// ClaimKind is what a claim is about.
type ClaimKind string

const (
	// ClaimName is the sanitised name of an application, which all its generated ids begin with.
	ClaimName ClaimKind = "name"
	// ClaimID is an explicit id of a component or provider.
	ClaimID ClaimKind = "id"
)

// Claim is a name in a lattice that one application may hold.
type Claim struct {
	Kind ClaimKind
	Name string
}

// Claims keep two applications from the same names of a lattice.
type Claims interface {
	// Claim gives a name of a lattice to owner, who may hold it already. An application of the same namespace and name is
	// the same owner, whatever its UID. The error is a *ClaimedError when another holds it; anything else means that the
	// answer could not be had, and the API answers 503. Each success writes the claim anew, so that whoever has found
	// it unneeded before does not free it.
	Claim(ctx context.Context, lattice string, claim Claim, owner Owner) error
}

// ClaimedError says that another application holds a claim.
type ClaimedError struct {
	Claim  Claim
	Holder Owner
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("%s %q is held by application %s/%s", e.Claim.Kind, e.Claim.Name, e.Holder.Namespace, e.Holder.Name)
}

// HeldClaims show and free what Claims has given, for the collector.
type HeldClaims interface {
	// Lattices are those whose claims can be read now.
	Lattices() []string
	// HeldClaims are the claims of a lattice that applications of this cluster hold.
	HeldClaims(ctx context.Context, lattice string) ([]HeldClaim, error)
	// OpenTeardowns are the applications of this cluster that have left something in a lattice which is not gone yet.
	OpenTeardowns(ctx context.Context, lattice string) ([]types.NamespacedName, error)
	// FreeClaim removes a claim if it is still as it was read, else the error is ErrClaimChanged.
	FreeClaim(ctx context.Context, lattice string, claim HeldClaim) error
}

// HeldClaim is a claim and who holds it.
type HeldClaim struct {
	Claim
	Owner Owner
	// Revision and Since change whenever the claim is written.
	Revision uint64
	Since    time.Time
}

// ErrClaimChanged says that a claim was taken after it was read.
var ErrClaimChanged = errors.New("the claim was taken since it was read")

// Teardowns keep what must be stopped.
type Teardowns interface {
	// PutTeardown writes a record and returns when it is durable. A record with the ID of an earlier one replaces it.
	PutTeardown(ctx context.Context, t Teardown) error
}

// Teardown is what an application left in a lattice and nobody wants any more.
type Teardown struct {
	// ID is the same for every attempt at the same deletion or undeployment.
	ID string
	// Lattice that must be cleaned up.
	Lattice string
	// Application that it belonged to, and the version that was current.
	Application Owner
	Version     string
	// Components and Providers are ids.
	Components, Providers []string
	// Links by source, name and interface.
	Links []TeardownLink
	// Configs are names of the lattice, secret references among them.
	Configs []string
	// Hosts that ran the application, as far as its status says, and the uids of their pods, by host, where known.
	Hosts []string
	Pods  map[string]types.UID
}

// TeardownLink identifies a link.
type TeardownLink struct {
	Source, Target, Name, Namespace, Package string
}
