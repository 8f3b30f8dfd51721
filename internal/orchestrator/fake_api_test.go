package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// api is the Application API and the ledger in memory, as the registry of package apiserver behaves.
type api struct {
	mu        sync.Mutex
	apps      map[appKey]*v1beta1.Application
	revisions map[appKey][]v1beta1.ApplicationRevision
	changed   []func(namespace, name string)
	records   map[string]Teardown
	watchers  []chan TeardownChange
	serial    int
	writes    int
	notSynced bool
	events    []string
	held      bool
}

func newAPI() *api {
	return &api{apps: map[appKey]*v1beta1.Application{}, revisions: map[appKey][]v1beta1.ApplicationRevision{},
		records: map[string]Teardown{}, held: true}
}

func (a *api) List() ([]*v1beta1.Application, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.notSynced {
		return nil, errors.New("the cache is not synced")
	}
	var out []*v1beta1.Application
	for _, app := range a.apps {
		out = append(out, app)
	}
	return out, nil
}

func (a *api) Get(namespace, name string) (*v1beta1.Application, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.apps[appKey{namespace, name}], nil
}

func (a *api) Subscribe(_ context.Context, changed func(namespace, name string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = append(a.changed, changed)
}

func (a *api) notify(k appKey) {
	for _, f := range a.changed {
		f(k.namespace, k.name)
	}
}

func (a *api) UpdateStatus(_ context.Context, app *v1beta1.Application) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := appKey{app.Namespace, app.Name}
	now := a.apps[k]
	if now == nil || now.UID != app.UID || now.ResourceVersion != app.ResourceVersion {
		return errors.New("conflict")
	}
	a.writes++
	next := now.DeepCopy()
	version := now.Status.Version
	next.Status = app.Status
	next.Status.Version = version
	a.store(k, next)
	return nil
}

func (a *api) store(k appKey, app *v1beta1.Application) {
	a.serial++
	app.ResourceVersion = strconv.Itoa(a.serial)
	a.apps[k] = app
	a.notify(k)
}

// apply creates or updates an application, as a user does.
func (a *api) apply(app *v1beta1.Application) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := appKey{app.Namespace, app.Name}
	next := app.DeepCopy()
	if old := a.apps[k]; old != nil {
		next.UID, next.Generation, next.Status = old.UID, old.Generation+1, *old.Status.DeepCopy()
		if !manifest.Deployed(old.Annotations).Undeployed && manifest.Deployed(app.Annotations).Undeployed {
			a.tearDown(old, fmt.Sprintf("%s-%d", old.UID, next.Generation))
		}
	} else {
		next.UID, next.Generation = types.UID(fmt.Sprintf("uid-%d", a.serial)), 1
	}
	next.Status.Version = next.Annotations[v1beta1.VersionAnnotation]
	if next.Status.Version == "" {
		next.Status.Version = fmt.Sprintf("v%d", next.Generation)
	}
	a.revisions[k] = append(a.revisions[k], v1beta1.ApplicationRevision{Application: app.Name, Version: next.Status.Version, Spec: next.Spec})
	a.store(k, next)
}

// remove deletes an application: the record first.
func (a *api) remove(namespace, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := appKey{namespace, name}
	app := a.apps[k]
	a.tearDown(app, string(app.UID))
	delete(a.apps, k)
	delete(a.revisions, k)
	a.notify(k)
}

func (a *api) tearDown(app *v1beta1.Application, id string) {
	t := Teardown{Namespace: app.Namespace, Application: app.Name, UID: string(app.UID)}
	m := manifest.Parse(app.Name, &app.Spec)
	for _, c := range m.Components {
		if c.Shared == nil {
			t.IDs = append(t.IDs, c.ID)
		}
	}
	for _, l := range m.Links {
		t.Links = append(t.Links, lattice.LinkKey{SourceID: l.Source, Name: l.Name, WitNamespace: l.Namespace, WitPackage: l.Package})
	}
	for _, c := range m.Configs {
		t.Configs = append(t.Configs, c.Name)
	}
	for _, l := range app.Status.Links {
		namespace, pkg, _ := strings.Cut(l.Interface, ":")
		t.Links = append(t.Links, lattice.LinkKey{SourceID: l.Source, Name: l.Name, WitNamespace: namespace, WitPackage: pkg})
	}
	for _, c := range app.Status.Configs {
		t.Configs = append(t.Configs, c.Name)
	}
	for _, c := range app.Status.Components {
		for _, h := range c.Hosts {
			t.Hosts = append(t.Hosts, h.HostID)
		}
	}
	a.records[id] = t
	a.report(TeardownChange{Kind: lattice.ChangePut, Name: id, Value: t})
}

func (a *api) report(c TeardownChange) {
	for _, w := range a.watchers {
		w <- c
	}
}

type fakeRevisions struct{ *api }

func (r fakeRevisions) List(_ context.Context, namespace, name string) ([]v1beta1.ApplicationRevision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.revisions[appKey{namespace, name}], nil
}

type fakeTeardowns struct{ *api }

func (t fakeTeardowns) Watch(ctx context.Context, handle func(TeardownChange)) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := make(chan TeardownChange, 1000)
	w <- TeardownChange{Kind: lattice.ChangeReset}
	for id, r := range t.records {
		w <- TeardownChange{Kind: lattice.ChangePut, Name: id, Value: r}
	}
	w <- TeardownChange{Kind: lattice.ChangeSynced}
	t.watchers = append(t.watchers, w)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-w:
				handle(c)
			}
		}
	}()
	return done
}

func (t fakeTeardowns) Remove(_ context.Context, id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.records, id)
	t.report(TeardownChange{Kind: lattice.ChangeDelete, Name: id})
	return nil
}

type fakeLease struct{ *api }

func (l fakeLease) Hold(ctx context.Context, lead func(context.Context)) error {
	lead(ctx)
	return nil
}

func (l fakeLease) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

type fakeRecorder struct{ *api }

func (r fakeRecorder) Event(app *v1beta1.Application, eventType, reason, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf("%s %s %s", eventType, app.Name, reason))
}
