package rotation

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// Applications are those of the lattice.
type Applications interface {
	// Live returns the applications that name secrets of this backend in the version that is deployed, and those whose
	// status tells of secrets still.
	Live(ctx context.Context) ([]Application, error)
	// Report writes what is told of an application's secrets into its status. An application that is gone is no error.
	Report(ctx context.Context, app Application, told []oam.SecretStatus) error
}

// Application is one that is deployed, or was.
type Application struct {
	Namespace, Name string
	UID             types.UID
	// Wanted are the secrets that it names, in the order of the manifest.
	Wanted []Wanted
	// Told is what its status says of them.
	Told []oam.SecretStatus
}

// Wanted is a secret that a component or provider of an application names.
type Wanted struct {
	// Component is the name in the manifest, ID the one in the lattice, Name that of the secret.
	Component, ID, Name string
	Provider            bool
	Reference           secrets.Reference
	Secret              types.NamespacedName
	Rotation            policy.Rotation
}

// Hosts are those of the lattice.
type Hosts interface {
	// Known says why the hosts are not known now; nil when they are.
	Known() error
	// Running are the ids of the hosts that run a component or provider.
	Running(id string) []string
}

// Versions knows which version a Secret has, without its value.
type Versions interface {
	// Version returns the version of a Secret. One that differs from known is not older than the call.
	Version(ctx context.Context, secret types.NamespacedName, known string) (Version, error)
}

// Version of a Secret.
type Version struct {
	// ResourceVersion is empty where there is no such Secret.
	ResourceVersion string
	// Changed is when it got this version, as far as Kubernetes tells.
	Changed time.Time
}

// Outcomes are what came of requests; *secrets.Outcomes are.
type Outcomes interface {
	Watch(ctx context.Context, lattice string, w secrets.OutcomeWatch) (done <-chan struct{})
	Remove(ctx context.Context, o secrets.Outcome) error
}

var _ Outcomes = (*secrets.Outcomes)(nil)

// ErrUnsupported says that a host has no such command.
var ErrUnsupported = errors.New("the host knows no such command")

// Courier has hosts ask for the secrets of a component again.
type Courier interface {
	// Refresh does so without a restart. ErrUnsupported where the host can't.
	Refresh(ctx context.Context, host, id string) error
	// Restart does so by the command that the component was started with. It starts nothing that does not run.
	Restart(ctx context.Context, place Place) error
}

// Place is a component of an application on a host.
type Place struct{ Namespace, Application, ID, Host string }
