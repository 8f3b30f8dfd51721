package wadmapi

import (
	"context"
	"slices"
	"strconv"
	"strings"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// running is what an application has deployed.
type running struct {
	name        string
	spec        *oam.ApplicationSpec
	annotations map[string]string
}

func runningVersion(r *oam.ApplicationRevision) *running {
	return &running{r.Application, &r.Spec, r.ManifestAnnotations}
}

// running is what runs of an application, nil when that is nothing. wadm goes by the version that was put last, which may
// never have been deployed.
func (s *Server) running(ctx context.Context, app *oam.Application) (*running, error) {
	switch version := deployed(app).version; version {
	case "":
		return nil, nil
	case app.Status.Version:
		return &running{app.Name, &app.Spec, app.Annotations}, nil
	default:
		f, err := s.withVersions(ctx, app)
		if err != nil {
			return nil, err
		}
		for i := range f.revisions {
			if f.revisions[i].Version == version {
				return runningVersion(&f.revisions[i]), nil
			}
		}
		return nil, nil
	}
}

// shares says whether others may use what runs.
func (r *running) shares() bool {
	return r != nil && r.annotations[manifest.SharedAnnotation] == "true"
}

// offers says whether a reference of another application finds its component.
func (r *running) offers(c oam.Component) bool {
	ref := c.Properties.Application
	return r.shares() && r.name == ref.Name && slices.ContainsFunc(r.spec.Components, func(own oam.Component) bool {
		return own.Name == ref.Component && isProvider(own) == isProvider(c)
	})
}

func isProvider(c oam.Component) bool { return c.Type == manifest.TypeCapability }

// references are the components of a spec that other applications run.
func references(spec *oam.ApplicationSpec) []oam.Component {
	return slices.DeleteFunc(slices.Clone(spec.Components), func(c oam.Component) bool { return c.Properties.Application == nil })
}

// missingShared lists the components of a spec that refer to a component which no other deployed application of the
// lattice shares.
func (s *Server) missingShared(ctx context.Context, name string, spec *oam.ApplicationSpec) ([]string, error) {
	wanted := references(spec)
	if len(wanted) == 0 {
		return nil, nil
	}
	apps, err := s.config.Applications.ListApplications(ctx, s.config.Lattice)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, c := range wanted {
		found := false
		for _, app := range apps {
			if app.Name != c.Properties.Application.Name || app.Name == name {
				continue
			}
			owner, err := s.running(ctx, app)
			if err != nil {
				return nil, err
			}
			found = found || owner.offers(c)
		}
		if !found {
			missing = append(missing, c.Name)
		}
	}
	return missing, nil
}

// refuseUsed says no to taking away what other deployed applications use. next is what will run instead, nil for nothing.
func (s *Server) refuseUsed(ctx context.Context, app *oam.Application, next *running) error {
	now, err := s.running(ctx, app)
	if err != nil || !now.shares() {
		return err
	}
	apps, err := s.config.Applications.ListApplications(ctx, s.config.Lattice)
	if err != nil {
		return err
	}
	var users []string
	for _, other := range apps {
		if other.Name == app.Name {
			continue
		}
		user, err := s.running(ctx, other)
		if err != nil {
			return err
		}
		if user != nil && slices.ContainsFunc(references(user.spec), func(c oam.Component) bool { return now.offers(c) && !next.offers(c) }) {
			users = append(users, other.Name)
		}
	}
	if len(users) == 0 {
		return nil
	}
	slices.Sort(users)
	return text(textUsed, app.Name, quoted(users))
}

// quoted writes a list as wadm does: ["a", "b"].
func quoted(names []string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = strconv.Quote(n)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
