package wadmapi

import (
	"context"
	"strconv"
	"strings"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// missingShared lists the components of a spec that refer to a component which no other deployed application of the
// lattice shares.
func (s *Server) missingShared(ctx context.Context, name string, spec *oam.ApplicationSpec) ([]string, error) {
	var wanted []oam.Component
	for _, c := range spec.Components {
		if c.Properties.Application != nil {
			wanted = append(wanted, c)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	apps, err := s.config.Applications.ListApplications(ctx, s.config.Lattice)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, c := range wanted {
		if !isShared(apps, name, c) {
			missing = append(missing, c.Name)
		}
	}
	return missing, nil
}

func isShared(apps []*oam.Application, asker string, c oam.Component) bool {
	ref := c.Properties.Application
	for _, app := range apps {
		if app.Name != ref.Name || app.Name == asker || deployed(app).version == "" ||
			app.Annotations[manifest.SharedAnnotation] != "true" {
			continue
		}
		for _, other := range app.Spec.Components {
			if other.Name == ref.Component && isProvider(other) == isProvider(c) {
				return true
			}
		}
	}
	return false
}

func isProvider(c oam.Component) bool { return c.Type == manifest.TypeCapability }

// quoted writes a list as wadm does: ["a", "b"].
func quoted(names []string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = strconv.Quote(n)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
