package wadmapi

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// explainInvalid puts a refusal into wadm's words when it is about the explicit id of a component that runs in another
// application. The API decides, by claims; who is named here is only who this user of wash may read.
func (s *Server) explainInvalid(ctx context.Context, name string, spec *oam.ApplicationSpec, refusal error) error {
	ids := explicitIDs(spec)
	if !apierrors.IsInvalid(refusal) || len(ids) == 0 {
		return refusal
	}
	apps, err := s.config.Applications.ListApplications(ctx, s.config.Lattice)
	if err != nil {
		return refusal // the API's own words will do
	}
	for _, app := range apps {
		if app.Name == name {
			continue
		}
		other, err := s.running(ctx, app)
		if err != nil || other == nil {
			continue
		}
		for id := range explicitIDs(other.spec) {
			if ids[id] {
				return text(textIDTaken, id, app.Name)
			}
		}
	}
	return refusal
}

// explicitIDs are the ids that a manifest gives to components of its own.
func explicitIDs(spec *oam.ApplicationSpec) map[string]bool {
	ids := map[string]bool{}
	for _, c := range spec.Components {
		if c.Properties.ID != "" && c.Properties.Application == nil {
			ids[c.Properties.ID] = true
		}
	}
	return ids
}
