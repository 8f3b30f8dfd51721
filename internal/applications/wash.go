package applications

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// washFieldManager is the field manager of what wash writes.
const washFieldManager = "wash"

// Wash is the Application API as wadm's API needs it: by lattice and name instead of namespace and name, each call as
// the user of the lattice. Reads are consistent, not from a cache: wash puts and deploys within milliseconds, perhaps
// through two replicas.
type Wash struct {
	as         func(lattice string) (*Client, error)
	namespaces func(lattice string) []string
}

// NewWash returns the view of wash. as makes the client that acts as the user of a lattice; namespaces are those that
// the user may read, or the one empty name for all of them.
func NewWash(as func(lattice string) (*Client, error), namespaces func(lattice string) []string) *Wash {
	return &Wash{as: as, namespaces: namespaces}
}

// FindApplication returns the application that holds a name in a lattice, or a NotFound error.
func (w *Wash) FindApplication(ctx context.Context, lattice, name string) (*oam.Application, error) {
	found, err := w.list(ctx, lattice, fields.OneTermEqualSelector("metadata.name", name))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, apierrors.NewNotFound(oam.Resource("applications"), name)
	}
	return found[0], nil
}

// ListApplications returns all applications of a lattice.
func (w *Wash) ListApplications(ctx context.Context, lattice string) ([]*oam.Application, error) {
	return w.list(ctx, lattice, fields.Everything())
}

// list reads the namespaces of the lattice and keeps what belongs to it: by status, or by label until there is a status.
// A namespace that wash is kept out of hides its applications, not those of the others; if there is no other, the answer
// says what is missing.
func (w *Wash) list(ctx context.Context, lattice string, selector fields.Selector) ([]*oam.Application, error) {
	client, err := w.as(lattice)
	if err != nil {
		return nil, err
	}
	var found []*oam.Application
	var forbidden error
	readable := 0
	for _, namespace := range w.namespaces(lattice) {
		list, err := client.In(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector.String()})
		if apierrors.IsForbidden(err) {
			forbidden = err
			continue
		}
		if err != nil {
			return nil, err
		}
		readable++
		for i := range list.Items {
			if app := &list.Items[i]; latticeOf(app) == lattice {
				found = append(found, app)
			}
		}
	}
	if readable == 0 {
		return nil, forbidden
	}
	return found, nil
}

func latticeOf(app *oam.Application) string {
	if app.Status.Lattice != "" {
		return app.Status.Lattice
	}
	return app.Labels[oam.LatticeLabel]
}

// CreateApplication creates an application and returns what was stored.
func (w *Wash) CreateApplication(ctx context.Context, lattice string, app *oam.Application) (*oam.Application, error) {
	client, err := w.as(lattice)
	if err != nil {
		return nil, err
	}
	return client.In(app.Namespace).Create(ctx, app, metav1.CreateOptions{FieldManager: washFieldManager})
}

// UpdateApplication replaces an application if its resourceVersion is still the current one.
func (w *Wash) UpdateApplication(ctx context.Context, lattice string, app *oam.Application) (*oam.Application, error) {
	client, err := w.as(lattice)
	if err != nil {
		return nil, err
	}
	return client.In(app.Namespace).Update(ctx, app, metav1.UpdateOptions{FieldManager: washFieldManager})
}

// DeleteApplication deletes this very application.
func (w *Wash) DeleteApplication(ctx context.Context, lattice string, app *oam.Application) error {
	client, err := w.as(lattice)
	if err != nil {
		return err
	}
	return client.In(app.Namespace).Delete(ctx, app.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(app.UID))})
}

// ListRevisions returns the stored versions of an application, the oldest first.
func (w *Wash) ListRevisions(ctx context.Context, lattice string, app *oam.Application) ([]oam.ApplicationRevision, error) {
	client, err := w.as(lattice)
	if err != nil {
		return nil, err
	}
	revisions, err := NewRevisions(client).List(ctx, app.Namespace, app.Name)
	if err != nil {
		return nil, fmt.Errorf("as the user of lattice %q: %w", lattice, err)
	}
	return revisions, nil
}
