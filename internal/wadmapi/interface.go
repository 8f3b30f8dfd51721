package wadmapi

import (
	"context"
	"errors"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// ErrNoHome is returned by Homes when no namespace is bound to the lattice.
var ErrNoHome = errors.New("no Kubernetes namespace is bound to this lattice yet; create a WasmCloudHostConfig for it, or bind one in the chart's values")

// Applications is the Application API as this package needs it. Implementations act as the user of the lattice
// (`system:trellis:wash:<lattice>`) for every call.
//
// Errors are those of the API (k8s.io/apimachinery/pkg/api/errors), passed through: NotFound, Conflict, AlreadyExists,
// Invalid and Forbidden are told apart here. Returned objects may be shared: this package copies before it changes.
type Applications interface {
	// FindApplication returns the application that holds name in lattice, in whatever namespace it lives, with its
	// current resourceVersion; a NotFound error if there is none. An application belongs to a lattice by status.lattice,
	// or, while that is empty, by its label. wash puts and deploys within milliseconds, maybe through two replicas: the
	// answer must hold every write that was acknowledged before the call (a cache alone is not enough, also for
	// "there is none").
	FindApplication(ctx context.Context, lattice, name string) (*oam.Application, error)
	// ListApplications returns all applications of lattice. It must hold every write that was acknowledged before.
	ListApplications(ctx context.Context, lattice string) ([]*oam.Application, error)
	// CreateApplication creates app in app.Namespace with field manager "wash" and returns what was stored, with
	// status.version filled by the API (the version annotation, or the ULID that the API made up).
	CreateApplication(ctx context.Context, lattice string, app *oam.Application) (*oam.Application, error)
	// UpdateApplication replaces app if its resourceVersion still is the current one, else Conflict; result as of
	// CreateApplication.
	UpdateApplication(ctx context.Context, lattice string, app *oam.Application) (*oam.Application, error)
	// DeleteApplication deletes this very application (precondition: UID), with its revisions.
	DeleteApplication(ctx context.Context, lattice string, app *oam.Application) error
}

// Revisions reads the stored versions of applications.
type Revisions interface {
	// ListRevisions returns the revisions of app in the order of their creation (by store order where timestamps are
	// equal: creationTimestamp has seconds only, so order by resourceVersion, which never changes for a revision). It
	// must hold every revision whose application was acknowledged before.
	ListRevisions(ctx context.Context, lattice string, app *oam.Application) ([]oam.ApplicationRevision, error)
}

// Homes knows where applications go that wash puts first.
type Homes interface {
	// HomeNamespace is the recorded home namespace of lattice, elected and recorded when there is none; ErrNoHome when
	// no namespace is bound.
	HomeNamespace(ctx context.Context, lattice string) (string, error)
}
