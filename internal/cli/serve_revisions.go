package cli

import (
	"context"
	"fmt"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
)

// revision is what runs of an application.
type revision struct {
	spec        *oam.ApplicationSpec
	annotations map[string]string
}

// deployedRevision is the current spec, or that of the older version that is deployed.
func deployedRevision(ctx context.Context, kept *applications.Revisions, app *oam.Application, version string) (revision, error) {
	if version == "" || version == app.Status.Version {
		return revision{&app.Spec, app.Annotations}, nil
	}
	revisions, err := kept.List(ctx, app.Namespace, app.Name)
	if err != nil {
		return revision{}, err
	}
	for i := range revisions {
		if r := &revisions[i]; r.Version == version {
			return revision{&r.Spec, r.ManifestAnnotations}, nil
		}
	}
	return revision{}, fmt.Errorf("application %s/%s has no version %q to deploy", app.Namespace, app.Name, version)
}
