package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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
	changed   []subscriber
	records   map[string]Teardown
	watchers  []watcher
	serial    int
	writes    int
	conflicts int
	// late is how long news of a change take.
	late time.Duration
	// slow is how long a write of a status takes, busy how many are under way, most how many ever were.
	slow       time.Duration
	busy, most int
	notSynced  bool
	events     []string
	// told are the messages of events, by reason.
	told map[string][]string
	held bool
	// broken: writes of status, lists of revisions and removals of records fail.
	broken bool
	// before runs before each change of applications and records.
	before func()
	// away are applications in other lattices.
	away map[appKey]*v1beta1.Application
}

type subscriber struct {
	ctx     context.Context
	changed func(namespace, name string)
}

type watcher struct {
	ctx context.Context
	in  chan TeardownChange
}

func newAPI() *api {
	return &api{apps: map[appKey]*v1beta1.Application{}, revisions: map[appKey][]v1beta1.ApplicationRevision{},
		records: map[string]Teardown{}, told: map[string][]string{}, held: true, away: map[appKey]*v1beta1.Application{}}
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

func (a *api) Subscribe(ctx context.Context, changed func(namespace, name string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = append(slices.DeleteFunc(a.changed, func(s subscriber) bool { return s.ctx.Err() != nil }),
		subscriber{ctx, changed})
}

func (s subscriber) tell(k appKey) {
	if s.ctx.Err() == nil {
		s.changed(k.namespace, k.name)
	}
}

func (a *api) notify(k appKey) {
	for _, s := range a.changed {
		if a.late > 0 {
			time.AfterFunc(a.late, func() { s.tell(k) })
			continue
		}
		s.tell(k)
	}
}

var errUnavailable = errors.New("the store can't be reached")

func (a *api) UpdateStatus(_ context.Context, app *v1beta1.Application) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slow := a.slow; slow > 0 {
		a.busy++
		a.most = max(a.most, a.busy)
		a.mu.Unlock()
		time.Sleep(slow)
		a.mu.Lock()
		a.busy--
	}
	k := appKey{app.Namespace, app.Name}
	now := a.apps[k]
	if a.broken {
		return errUnavailable
	}
	if now == nil || now.UID != app.UID || now.ResourceVersion != app.ResourceVersion {
		a.conflicts++
		return errors.New("conflict")
	}
	a.writes++
	next := now.DeepCopy()
	version := now.Status.Version
	next.Status = app.Status
	next.Status.Version = version
	a.store(k, next)
	app.ResourceVersion = next.ResourceVersion
	return nil
}

func (a *api) store(k appKey, app *v1beta1.Application) {
	a.serial++
	app.ResourceVersion = strconv.Itoa(a.serial)
	a.apps[k] = app
	a.notify(k)
}

// apply creates or updates an application, as a user does.
func (a *api) apply(app *v1beta1.Application) { a.put(app, "") }

// put stores an application; version is that of its spec, empty for a new one.
func (a *api) put(app *v1beta1.Application, version string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changing()
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
	if version == "" {
		if version = next.Annotations[v1beta1.VersionAnnotation]; version == "" {
			version = fmt.Sprintf("v%d", next.Generation)
		}
		a.revisions[k] = append(a.revisions[k], v1beta1.ApplicationRevision{Application: app.Name, Version: version, Spec: next.Spec})
	}
	next.Status.Version = version
	a.store(k, next)
}

// changing tells whoever wants to know that the store is about to change.
func (a *api) changing() {
	if a.before != nil {
		a.before()
	}
}

// remove deletes an application: the record first.
func (a *api) remove(namespace, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changing()
	k := appKey{namespace, name}
	app := a.apps[k]
	a.tearDown(app, string(app.UID))
	delete(a.apps, k)
	delete(a.revisions, k)
	a.notify(k)
}

func (a *api) tearDown(app *v1beta1.Application, id string) {
	t := Teardown{Namespace: app.Namespace, Application: app.Name, UID: string(app.UID), Pods: map[string]string{}}
	t.addModel(manifest.Parse(app.Name, &app.Spec))
	for _, r := range a.revisions[appKey{app.Namespace, app.Name}] {
		t.addModel(manifest.Parse(app.Name, &r.Spec))
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
			t.Pods[h.HostID] = string(h.PodUID)
		}
	}
	a.records[id] = t
	a.report(TeardownChange{Kind: lattice.ChangePut, Name: id, Value: t})
}

// addModel lists what a version has in the lattice.
func (t *Teardown) addModel(m *manifest.Model) {
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
}

func (a *api) report(c TeardownChange) {
	for _, w := range a.watchers {
		if w.ctx.Err() == nil {
			w.in <- c
		}
	}
}

type fakeRevisions struct{ *api }

func (r fakeRevisions) List(_ context.Context, namespace, name string) ([]v1beta1.ApplicationRevision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return nil, errUnavailable
	}
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
	t.watchers = append(slices.DeleteFunc(t.watchers, func(w watcher) bool { return w.ctx.Err() != nil }), watcher{ctx, w})
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
	if t.broken {
		return errUnavailable
	}
	t.changing()
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
	r.told[reason] = append(r.told[reason], message)
	r.events = append(r.events, fmt.Sprintf("%s %s %s", eventType, app.Name, reason))
}
