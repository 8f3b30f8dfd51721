package applications

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// Itself is the Application API in the name of the server itself, as the take-over from wadm needs it.
type Itself struct{ client *Client }

const (
	// itselfFieldManager is the field manager of what was taken over.
	itselfFieldManager = "trellis-takeover"
	itselfPage         = 500
)

// NewItself returns the view of a client that impersonates nobody.
func NewItself(client *Client) *Itself { return &Itself{client: client} }

// List returns all applications of the cluster, as of now.
func (i *Itself) List(ctx context.Context) ([]oam.Application, error) {
	var all []oam.Application
	for options := (metav1.ListOptions{Limit: itselfPage}); ; {
		list, err := i.client.In(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
		if options.Continue = list.Continue; options.Continue == "" {
			return all, nil
		}
	}
}

// Get returns an application, or a NotFound error.
func (i *Itself) Get(ctx context.Context, namespace, name string) (*oam.Application, error) {
	return i.client.In(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Create creates an application and returns what was stored.
func (i *Itself) Create(ctx context.Context, app *oam.Application) (*oam.Application, error) {
	return i.client.In(app.Namespace).Create(ctx, app, metav1.CreateOptions{FieldManager: itselfFieldManager})
}

// Update replaces an application if its resourceVersion is still the current one.
func (i *Itself) Update(ctx context.Context, app *oam.Application) (*oam.Application, error) {
	return i.client.In(app.Namespace).Update(ctx, app, metav1.UpdateOptions{FieldManager: itselfFieldManager})
}

// UpdateStatus writes status if the resourceVersion is still the current one.
func (i *Itself) UpdateStatus(ctx context.Context, app *oam.Application) (*oam.Application, error) {
	return i.client.In(app.Namespace).UpdateStatus(ctx, app, metav1.UpdateOptions{FieldManager: itselfFieldManager})
}

// Versions are the names of the stored versions of an application, the oldest first.
func (i *Itself) Versions(ctx context.Context, app *oam.Application) ([]string, error) {
	revisions, err := NewRevisions(i.client).List(ctx, app.Namespace, app.Name)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(revisions))
	for n, r := range revisions {
		names[n] = r.Version
	}
	return names, nil
}
