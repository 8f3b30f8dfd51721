package wadmapi

import (
	"context"
	"slices"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// family is an application with its versions as wash sees them.
type family struct {
	app *oam.Application
	// visible are the versions that wash did not delete, oldest first; revisions are all.
	visible, revisions []oam.ApplicationRevision
}

// find reads an application and its versions. A missing application is the API's NotFound error.
func (s *Server) find(ctx context.Context, name string) (*family, error) {
	app, err := s.config.Applications.FindApplication(ctx, s.config.Lattice, name)
	if err != nil {
		return nil, err
	}
	return s.withVersions(ctx, app)
}

func (s *Server) withVersions(ctx context.Context, app *oam.Application) (*family, error) {
	revisions, err := s.config.Revisions.ListRevisions(ctx, s.config.Lattice, app)
	if err != nil {
		return nil, err
	}
	f := &family{app: app, revisions: revisions}
	deleted := hidden(app)
	for _, r := range revisions {
		if !slices.Contains(deleted, r.Version) {
			f.visible = append(f.visible, r)
		}
	}
	return f, nil
}

// version returns a visible version, or nil.
func (f *family) version(name string) *oam.ApplicationRevision {
	for i := range f.visible {
		if f.visible[i].Version == name {
			return &f.visible[i]
		}
	}
	return nil
}

// latest is the last visible version, or nil.
func (f *family) latest() *oam.ApplicationRevision {
	if len(f.visible) == 0 {
		return nil
	}
	return &f.visible[len(f.visible)-1]
}

// latestName is the name of the last visible version, empty when there is none.
func (f *family) latestName() string {
	if r := f.latest(); r != nil {
		return r.Version
	}
	return ""
}

// deployedSpec is the spec of the deployed version, or nil.
func (f *family) deployedSpec() *oam.ApplicationSpec {
	version := deployed(f.app).version
	for i := range f.revisions {
		if f.revisions[i].Version == version {
			return &f.revisions[i].Spec
		}
	}
	return nil
}
