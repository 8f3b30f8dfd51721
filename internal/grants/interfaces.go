package grants

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// Applications know what is deployed.
type Applications interface {
	// Deployed returns what is deployed of the application that holds a name in a lattice, or nil. An application whose
	// namespace is gone is none, even if there is another namespace of that name.
	Deployed(ctx context.Context, lattice, name string) (*Application, error)
}

// Application is the deployed revision of one. It is never changed.
type Application struct {
	Namespace, Name string
	Spec            *oam.ApplicationSpec
	// Reviewed is the backend for whose Secrets the writer of this very revision was reviewed: the value of
	// oam.SecretsReviewedAnnotation on it.
	Reviewed string
}

// Hosts know the hosts of host groups.
type Hosts interface {
	// Host returns a host of the asker's group, or nil. Of an asker without a group it is any host of the lattice.
	Host(ctx context.Context, asker secrets.Asker, id string) (*Host, error)
}

// Host is what decides whether a component has its place on a host.
type Host struct {
	Labels map[string]string
	// Running are the ids of the components and providers that it reports.
	Running []string
}

// Images know what is embedded in images.
type Images interface {
	// Claims returns whom the token in an image speaks of, checked as that of a request is; nil if it has none. Of an image
	// that names a digest it is that of the digest. Who asks decides with which login it is fetched, if with any: a Keeper
	// asks in the name of a host group only after a host of that was found.
	Claims(ctx context.Context, asker secrets.Asker, image string) (*secrets.Entity, error)
}

// Reader reads Secrets.
type Reader interface {
	// Secret returns one Secret. Errors are those of the Kubernetes API.
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Reviewer knows the rights of ServiceAccounts.
type Reviewer interface {
	// MayGet says whether a ServiceAccount may get a Secret now, or could a few seconds ago.
	MayGet(ctx context.Context, account, secret types.NamespacedName) (bool, error)
}

// Lister knows the grants.
type Lister interface {
	// Grants returns the grants of a namespace. They are not changed.
	Grants(ctx context.Context, namespace string) ([]*v1alpha1.SecretGrant, error)
}

// Recorder takes down what came of requests, for whoever looks after what runs.
type Recorder interface {
	// Record does not wait.
	Record(o secrets.Outcome)
}
