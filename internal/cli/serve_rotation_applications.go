package cli

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/rotation"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// rotatedApplications shows the rotation of a lattice what its applications want, and takes what is told of that. It is used
// by one goroutine.
type rotatedApplications struct {
	*secretRotation
	lattice   string
	revisions *applications.Revisions
	// known is what was read of applications: it is asked for each second.
	known map[types.UID]rotated
}

// rotated is what an application wants in one of its states.
type rotated struct {
	version string
	wanted  []rotation.Wanted
	// failed: it is not known, and not asked for again before.
	failed bool
	before time.Time
}

const rotatedAgain = 10 * time.Second

var _ rotation.Applications = (*rotatedApplications)(nil)

func newRotatedApplications(r *secretRotation, lattice string) *rotatedApplications {
	return &rotatedApplications{secretRotation: r, lattice: lattice, revisions: applications.NewRevisions(r.client), known: map[types.UID]rotated{}}
}

// Live is that of rotation.Applications.
func (r *rotatedApplications) Live(ctx context.Context) ([]rotation.Application, error) {
	apps, err := applications.NewLattice(r.cache, nil, r.lattice).List()
	if err != nil {
		return nil, err
	}
	known := map[types.UID]rotated{}
	var out []rotation.Application
	for _, app := range apps {
		if !mayWant(app) {
			continue
		}
		now := r.read(ctx, app)
		known[app.UID] = now
		if now.failed {
			continue // what is told of its secrets stays
		}
		if len(now.wanted) > 0 || len(app.Status.Secrets) > 0 {
			out = append(out, rotation.Application{
				Namespace: app.Namespace, Name: app.Name, UID: app.UID, Wanted: now.wanted, Told: app.Status.Secrets,
			})
		}
	}
	r.known = known
	return out, nil
}

// mayWant says whether it is worth reading what an application wants: most name no secret.
func mayWant(app *oam.Application) bool {
	return len(app.Spec.Policies) > 0 || len(app.Status.Secrets) > 0 || manifest.Deployed(app.Annotations).Version != ""
}

func (r *rotatedApplications) read(ctx context.Context, app *oam.Application) rotated {
	if last, known := r.known[app.UID]; known && last.version == app.ResourceVersion && (!last.failed || time.Now().Before(last.before)) {
		return last
	}
	now := rotated{version: app.ResourceVersion}
	deployed := manifest.Deployed(app.Annotations)
	if deployed.Undeployed || app.DeletionTimestamp != nil {
		return now
	}
	revision, err := deployedRevision(ctx, r.revisions, app, deployed.Version)
	if err != nil {
		now.failed, now.before = true, time.Now().Add(rotatedAgain)
		return now
	}
	now.wanted = wantedSecrets(app, revision.spec, r.backend)
	return now
}

// wantedSecrets are those that are asked of the backend, one for each component or provider that may ask.
func wantedSecrets(app *oam.Application, spec *oam.ApplicationSpec, backend string) (out []rotation.Wanted) {
	references := manifest.SecretReferences(spec)
	if len(references) == 0 {
		return nil
	}
	components := manifest.Parse(app.Name, spec).Components
	for _, r := range references {
		if r.Backend != backend {
			continue
		}
		source, _ := r.Source(app.Namespace) // what is wrong with it, the host that asks is told
		for _, name := range r.Receivers {
			i := slices.IndexFunc(components, func(c manifest.Component) bool { return c.Name == name })
			if i < 0 {
				continue
			}
			out = append(out, rotation.Wanted{
				Component: name, ID: components[i].ID, Name: r.Name, Provider: components[i].Kind == manifest.KindProvider,
				Reference: secrets.NewReference(r.Key, r.Field, r.Version, r.Properties),
				Secret:    types.NamespacedName{Namespace: source.Namespace, Name: r.Key}, Rotation: source.Rotation,
			})
		}
	}
	return out
}

// Report is that of rotation.Applications.
func (r *rotatedApplications) Report(ctx context.Context, told rotation.Application, states []oam.SecretStatus) error {
	known := r.cache.Get(told.Namespace, told.Name) // as good as a question to the API, unless it is old
	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		app := known.DeepCopy()
		if known = nil; app == nil {
			if app, err = r.client.In(told.Namespace).Get(ctx, told.Name, metav1.GetOptions{}); err != nil {
				return err
			}
		}
		if app.UID != told.UID || equality.Semantic.DeepEqual(app.Status.Secrets, states) {
			return nil
		}
		app.Status.Secrets = states
		_, err = r.client.In(told.Namespace).UpdateStatus(ctx, app, metav1.UpdateOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil // it is gone, and nobody reads its status
	}
	return err
}
