package cli

import (
	"context"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/manifest"
)

var _ grants.Applications = secretApplications{}

// secretApplications shows the keeper of secrets what is deployed.
type secretApplications struct {
	cache     *applications.Cache
	revisions *applications.Revisions
	living    livingNamespace
}

// Deployed is that of grants.Applications.
func (s secretApplications) Deployed(ctx context.Context, lattice, name string) (*grants.Application, error) {
	if !s.cache.HasSynced() {
		return nil, applications.ErrNotSynced
	}
	app := s.cache.Find(lattice, name)
	if app == nil || app.DeletionTimestamp != nil {
		return nil, nil
	}
	deployed := manifest.Deployed(app.Annotations)
	if deployed.Undeployed {
		return nil, nil
	}
	uid, err := s.living(ctx, app.Namespace)
	if err != nil {
		return nil, err
	}
	if made := app.Annotations[oam.NamespaceUIDAnnotation]; uid == "" || made != "" && made != uid {
		return nil, nil
	}
	revision, err := deployedRevision(ctx, s.revisions, app, deployed.Version)
	if err != nil {
		return nil, err
	}
	return &grants.Application{
		Namespace: app.Namespace, Name: app.Name, Spec: revision.spec, Reviewed: revision.annotations[oam.SecretsReviewedAnnotation],
	}, nil
}
