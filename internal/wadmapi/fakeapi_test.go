package wadmapi_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

// fakeAPI behaves like the Application API where wadm's API depends on it: compare and set, a revision for each
// distinct spec or version, versions made up where none is given.
type fakeAPI struct {
	mu        sync.Mutex
	revision  int
	apps      map[string]*oam.Application
	revisions map[string][]oam.ApplicationRevision
	// ulids are the versions to make up, in order; after them, some are made up.
	ulids []string
	home  string
	// fail, when set, is asked before each call.
	fail func(call string) error
	// onFind is called after each find, with the lock released: a place for another writer.
	onFind func()
}

var (
	_ wadmapi.Applications = (*fakeAPI)(nil)
	_ wadmapi.Revisions    = (*fakeAPI)(nil)
	_ wadmapi.Homes        = (*fakeAPI)(nil)

	resource = schema.GroupResource{Group: "core.oam.dev", Resource: "applications"}
)

func newFakeAPI() *fakeAPI {
	return &fakeAPI{apps: map[string]*oam.Application{}, revisions: map[string][]oam.ApplicationRevision{}, home: "team"}
}

func (f *fakeAPI) enter(call string) error {
	if f.fail != nil {
		return f.fail(call)
	}
	return nil
}

func (f *fakeAPI) FindApplication(_ context.Context, _, name string) (*oam.Application, error) {
	app, err := f.find(name)
	if f.onFind != nil {
		f.onFind()
	}
	return app, err
}

func (f *fakeAPI) find(name string) (*oam.Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter("find"); err != nil {
		return nil, err
	}
	app, ok := f.apps[name]
	if !ok {
		return nil, apierrors.NewNotFound(resource, name)
	}
	return app.DeepCopy(), nil
}

func (f *fakeAPI) ListApplications(context.Context, string) ([]*oam.Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter("list"); err != nil {
		return nil, err
	}
	var apps []*oam.Application
	for _, app := range f.apps {
		apps = append(apps, app.DeepCopy())
	}
	return apps, nil
}

func (f *fakeAPI) CreateApplication(_ context.Context, _ string, app *oam.Application) (*oam.Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter("create"); err != nil {
		return nil, err
	}
	if f.apps[app.Name] != nil {
		return nil, apierrors.NewAlreadyExists(resource, app.Name)
	}
	app = app.DeepCopy()
	app.UID = "uid"
	return f.store(nil, app), nil
}

func (f *fakeAPI) UpdateApplication(_ context.Context, _ string, app *oam.Application) (*oam.Application, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter("update"); err != nil {
		return nil, err
	}
	old := f.apps[app.Name]
	if old == nil {
		return nil, apierrors.NewNotFound(resource, app.Name)
	}
	if old.ResourceVersion != app.ResourceVersion {
		return nil, apierrors.NewConflict(resource, app.Name, fmt.Errorf("stored is %s", old.ResourceVersion))
	}
	return f.store(old, app.DeepCopy()), nil
}

func (f *fakeAPI) store(old, app *oam.Application) *oam.Application {
	f.revision++
	app.ResourceVersion = strconv.Itoa(f.revision)
	explicit, isExplicit := app.Annotations["version"]
	switch {
	case isExplicit:
		app.Status.Version = explicit
	case old == nil || !cmp.Equal(old.Spec, app.Spec):
		if len(f.ulids) == 0 {
			f.ulids = []string{fmt.Sprintf("01HW%022d", f.revision)}
		}
		app.Status.Version = f.ulids[0]
		f.ulids = f.ulids[1:]
	}
	if old != nil && !cmp.Equal(old.Spec, app.Spec) {
		app.Generation = old.Generation + 1
	}
	f.addRevision(app)
	f.apps[app.Name] = app
	return app.DeepCopy()
}

func (f *fakeAPI) addRevision(app *oam.Application) {
	r := oam.ApplicationRevision{
		Application: app.Name, Version: app.Status.Version, Spec: *app.Spec.DeepCopy(),
		ManifestAnnotations: map[string]string{}, ManifestLabels: map[string]string{},
	}
	for k, v := range app.Annotations {
		r.ManifestAnnotations[k] = v
	}
	for k, v := range app.Labels {
		r.ManifestLabels[k] = v
	}
	list := f.revisions[app.Name]
	for i := range list {
		if list[i].Version == r.Version {
			list[i] = r
			return
		}
	}
	f.revisions[app.Name] = append(list, r)
}

func (f *fakeAPI) DeleteApplication(_ context.Context, _ string, app *oam.Application) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter("delete"); err != nil {
		return err
	}
	delete(f.apps, app.Name)
	delete(f.revisions, app.Name)
	return nil
}

func (f *fakeAPI) ListRevisions(_ context.Context, _ string, app *oam.Application) ([]oam.ApplicationRevision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter("revisions"); err != nil {
		return nil, err
	}
	return append([]oam.ApplicationRevision(nil), f.revisions[app.Name]...), nil
}

func (f *fakeAPI) HomeNamespace(context.Context, string) (string, error) {
	if f.home == "" {
		return "", wadmapi.ErrNoHome
	}
	return f.home, nil
}

// edit changes a stored application as some other writer would.
func (f *fakeAPI) edit(name string, change func(*oam.Application)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	app := f.apps[name].DeepCopy()
	change(app)
	f.revision++
	app.ResourceVersion = strconv.Itoa(f.revision)
	f.apps[name] = app
}

func (f *fakeAPI) get(name string) *oam.Application {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.apps[name].DeepCopy()
}
