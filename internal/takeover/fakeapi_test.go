package takeover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// fakeAPI is the Application API where the take-over depends on it: compare and set, and a revision for each version. It
// can end, as a process does, before or after it has done what was asked.
type fakeAPI struct {
	mu       sync.Mutex
	writes   int
	apps     map[string]*oam.Application
	versions map[string][]string
	// limited says that only so many more calls are answered; after them everything fails.
	limited bool
	calls   int
	// after says that the last call is done although it is not answered.
	after bool
	// refuse returns the final error of an application.
	refuse func(app *oam.Application) error
}

var (
	_ Applications = (*fakeAPI)(nil)

	errEnded = errors.New("the process has ended")
)

func newFakeAPI() *fakeAPI {
	return &fakeAPI{apps: map[string]*oam.Application{}, versions: map[string][]string{}}
}

// enter returns what must be returned instead of an answer, before and after the call.
func (f *fakeAPI) enter() (before, after error) {
	if !f.limited {
		return nil, nil
	}
	f.calls--
	switch {
	case f.calls >= 0:
		return nil, nil
	case f.after && f.calls == -1:
		return nil, errEnded
	}
	return errEnded, nil
}

func key(app *oam.Application) string { return app.Namespace + "/" + app.Name }

func (f *fakeAPI) List(context.Context) ([]oam.Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, after := f.enter()
	if before != nil {
		return nil, before
	}
	var all []oam.Application
	for _, app := range f.apps {
		all = append(all, *app.DeepCopy())
	}
	return all, after
}

func (f *fakeAPI) Get(_ context.Context, namespace, name string) (*oam.Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if before, after := f.enter(); before != nil || after != nil {
		return nil, errEnded
	}
	app := f.apps[namespace+"/"+name]
	if app == nil {
		return nil, apierrors.NewNotFound(oam.Resource("applications"), name)
	}
	return app.DeepCopy(), nil
}

func (f *fakeAPI) Create(_ context.Context, app *oam.Application) (*oam.Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, after := f.enter()
	if before != nil {
		return nil, before
	}
	if f.apps[key(app)] != nil {
		return nil, apierrors.NewAlreadyExists(oam.Resource("applications"), app.Name)
	}
	stored, err := f.store(app)
	return stored, errors.Join(err, after)
}

func (f *fakeAPI) Update(_ context.Context, app *oam.Application) (*oam.Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, after := f.enter()
	if before != nil {
		return nil, before
	}
	old := f.apps[key(app)]
	switch {
	case old == nil:
		return nil, apierrors.NewNotFound(oam.Resource("applications"), app.Name)
	case old.ResourceVersion != app.ResourceVersion:
		return nil, apierrors.NewConflict(oam.Resource("applications"), app.Name, fmt.Errorf("stored is %s", old.ResourceVersion))
	}
	stored, err := f.store(app)
	return stored, errors.Join(err, after)
}

func (f *fakeAPI) store(app *oam.Application) (*oam.Application, error) {
	if f.refuse != nil {
		if err := f.refuse(app); err != nil {
			return nil, err
		}
	}
	app = app.DeepCopy()
	f.writes++
	app.ResourceVersion = strconv.Itoa(f.writes)
	app.Status.Version = app.Annotations[oam.VersionAnnotation]
	if !slices.Contains(f.versions[key(app)], app.Status.Version) {
		f.versions[key(app)] = append(f.versions[key(app)], app.Status.Version)
	}
	f.apps[key(app)] = app
	return app.DeepCopy(), nil
}

func (f *fakeAPI) Versions(_ context.Context, app *oam.Application) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, after := f.enter()
	if before != nil {
		return nil, before
	}
	return slices.Clone(f.versions[key(app)]), after
}
