package applications

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/fields"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// ErrNotSynced says that not all applications are known yet.
var ErrNotSynced = errors.New("the applications are not all known yet")

// Lattice is the view of one lattice: the applications that were resolved to it. It is what an orchestrator works on.
type Lattice struct {
	cache  *Cache
	client *Client
	name   string
}

// NewLattice returns the view of a lattice; client writes status as whoever it is.
func NewLattice(cache *Cache, client *Client, lattice string) *Lattice {
	return &Lattice{cache: cache, client: client, name: lattice}
}

// List returns all applications of the lattice, or ErrNotSynced as long as not all are known.
func (l *Lattice) List() ([]*oam.Application, error) {
	if !l.cache.HasSynced() {
		return nil, ErrNotSynced
	}
	return l.cache.InLattice(l.name), nil
}

// Get returns an application of the lattice; nil when there is none of that name.
func (l *Lattice) Get(namespace, name string) (*oam.Application, error) {
	if !l.cache.HasSynced() {
		return nil, ErrNotSynced
	}
	app := l.cache.Get(namespace, name)
	if app == nil || app.Status.Lattice != l.name {
		return nil, nil
	}
	return app, nil
}

// Subscribe calls changed for each application that appears in the lattice, changes in it or leaves it, until ctx ends.
func (l *Lattice) Subscribe(ctx context.Context, changed func(namespace, name string)) {
	l.cache.Subscribe(ctx, func(app *oam.Application) {
		if app.Status.Lattice == l.name {
			changed(app.Namespace, app.Name)
		}
	})
}

// UpdateStatus writes status and sets app's resourceVersion to that of the write; a conflict is an error.
func (l *Lattice) UpdateStatus(ctx context.Context, app *oam.Application) error {
	written, err := l.client.In(app.Namespace).UpdateStatus(ctx, app, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	app.ResourceVersion = written.ResourceVersion
	return nil
}

// Revisions reads the stored versions of applications.
type Revisions struct{ client *Client }

// NewRevisions returns the revisions that client sees.
func NewRevisions(client *Client) *Revisions { return &Revisions{client: client} }

// List returns the kept versions of an application, the oldest first.
func (r *Revisions) List(ctx context.Context, namespace, name string) ([]oam.ApplicationRevision, error) {
	list, err := r.client.RevisionsIn(namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("application", name).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list the versions of application %s/%s: %w", namespace, name, err)
	}
	slices.SortFunc(list.Items, func(a, b oam.ApplicationRevision) int { return cmp.Compare(written(&a), written(&b)) })
	return list.Items, nil
}

// written orders revisions by their creation. They are never changed, so the resourceVersion, which is the sequence of
// the message in the store's stream, is that of their creation; timestamps have whole seconds only.
func written(r *oam.ApplicationRevision) uint64 {
	sequence, _ := strconv.ParseUint(r.ResourceVersion, 10, 64) // always a number from our own server
	return sequence
}
