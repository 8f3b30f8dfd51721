package takeover

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// write brings an application to its end: all versions of the plan there, in order, the last one current, and the
// annotation that says so. Each step begins with what is stored, so it does not matter who wrote it.
func (i *importer) write(ctx context.Context, name string, p *plan, app *oam.Application) (*oam.Application, error) {
	for {
		if app != nil && app.Annotations[oam.WadmImportAnnotation] == oam.WadmImportDone {
			return app, nil
		}
		next, err := i.step(ctx, p, app)
		switch {
		case err == nil:
			app = next
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err) && app != nil:
			// Another replica was faster, or somebody deleted it meanwhile.
			if app, err = i.again(ctx, name, app); err != nil {
				return nil, err
			}
		case isFinal(err):
			why := "the API refuses it: " + err.Error()
			if app != nil {
				why += fmt.Sprintf("; application %s/%s is incomplete and in no lattice: delete it before you apply it again", app.Namespace, app.Name)
			}
			return nil, errLeft{why}
		default:
			return nil, err
		}
	}
}

// step writes the next thing that is missing.
func (i *importer) step(ctx context.Context, p *plan, app *oam.Application) (*oam.Application, error) {
	if app == nil {
		home, err := i.config.Home(ctx)
		if err != nil {
			return nil, err
		}
		return i.config.Applications.Create(ctx, p.version(0, nil, home))
	}
	have, err := i.config.Applications.Versions(ctx, app)
	if err != nil {
		return nil, err
	}
	for n, v := range p.versions {
		if !slices.Contains(have, v.Annotations[oam.VersionAnnotation]) {
			return i.config.Applications.Update(ctx, p.version(n, app, ""))
		}
	}
	last := len(p.versions) - 1
	if app.Annotations[oam.VersionAnnotation] != p.versions[last].Annotations[oam.VersionAnnotation] {
		return i.config.Applications.Update(ctx, p.version(last, app, ""))
	}
	done := app.DeepCopy()
	done.Annotations[oam.WadmImportAnnotation] = oam.WadmImportDone
	return i.config.Applications.Update(ctx, done)
}

// again reads an application that is not as it was.
func (i *importer) again(ctx context.Context, name string, app *oam.Application) (*oam.Application, error) {
	namespace := ""
	if app != nil {
		namespace = app.Namespace
	} else {
		home, err := i.config.Home(ctx)
		if err != nil {
			return nil, err
		}
		namespace = home
	}
	found, err := i.config.Applications.Get(ctx, namespace, name)
	switch {
	case apierrors.IsNotFound(err):
		if app != nil {
			return nil, errLeft{"it was deleted while it was taken over"}
		}
		return nil, pause(ctx) // another replica is about to create it
	case err != nil:
		return nil, err
	case found.Annotations[oam.WadmImportAnnotation] == "":
		return nil, errLeft{fmt.Sprintf("application %s/%s has this name already", namespace, name)}
	}
	return found, nil
}

// shortPause is between two looks at what another replica does.
const shortPause = 50 * time.Millisecond

func pause(ctx context.Context) error {
	select {
	case <-time.After(shortPause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isFinal says that trying again does not help. The application can still be applied by hand: what runs of it is
// recognised then.
func isFinal(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err)
}
