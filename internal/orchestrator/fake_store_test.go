package orchestrator

import (
	"fmt"
	"maps"
	"slices"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
)

// backup is what a store held.
type backup struct {
	apps      map[appKey]*v1beta1.Application
	revisions map[appKey][]v1beta1.ApplicationRevision
	records   map[string]Teardown
	away      map[appKey]*v1beta1.Application
}

// back up the store.
func (a *api) backup() backup {
	a.mu.Lock()
	defer a.mu.Unlock()
	return backup{maps.Clone(a.apps), cloneRevisions(a.revisions), maps.Clone(a.records), maps.Clone(a.away)}
}

func cloneRevisions(m map[appKey][]v1beta1.ApplicationRevision) map[appKey][]v1beta1.ApplicationRevision {
	out := map[appKey][]v1beta1.ApplicationRevision{}
	for k, list := range m {
		out[k] = slices.Clone(list)
	}
	return out
}

// restore puts a backup in the place of the store, or an empty store for none. Nothing is recorded.
func (a *api) restore(b backup) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changing()
	before := a.apps
	a.apps, a.revisions, a.records, a.away = map[appKey]*v1beta1.Application{}, cloneRevisions(b.revisions), map[string]Teardown{}, map[appKey]*v1beta1.Application{}
	maps.Copy(a.records, b.records)
	maps.Copy(a.away, b.away)
	for k, app := range b.apps {
		next := app.DeepCopy()
		a.serial++
		next.ResourceVersion = fmt.Sprint(a.serial)
		a.apps[k] = next
	}
	for k := range before {
		if a.apps[k] == nil {
			a.notify(k)
		}
	}
	for k := range a.apps {
		a.notify(k)
	}
	a.reportAll()
}

// reportAll lets the watches of records begin anew.
func (a *api) reportAll() {
	a.report(TeardownChange{Kind: lattice.ChangeReset})
	for _, id := range slices.Sorted(maps.Keys(a.records)) {
		a.report(TeardownChange{Kind: lattice.ChangePut, Name: id, Value: a.records[id]})
	}
	a.report(TeardownChange{Kind: lattice.ChangeSynced})
}

// move takes an application to another lattice: the record first, then it is no longer shown here.
func (a *api) move(k appKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changing()
	app := a.apps[k].DeepCopy()
	app.Generation++
	a.tearDown(a.apps[k], fmt.Sprintf("%s-%d", app.UID, app.Generation))
	a.away[k] = app
	delete(a.apps, k)
	a.notify(k)
}

// moveBack brings an application back; its status tells of the other lattice.
func (a *api) moveBack(k appKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changing()
	app := a.away[k]
	delete(a.away, k)
	app.Generation++
	version := app.Status.Version
	app.Status = v1beta1.ApplicationStatus{Version: version}
	a.store(k, app)
}

// annotate changes annotations, as kubectl annotate does; an empty value removes one.
func (a *api) annotate(k appKey, values map[string]string) {
	a.mu.Lock()
	app := a.apps[k].DeepCopy()
	a.mu.Unlock()
	if app.Annotations == nil {
		app.Annotations = map[string]string{}
	}
	for name, value := range values {
		if app.Annotations[name] = value; value == "" {
			delete(app.Annotations, name)
		}
	}
	a.put(app, app.Status.Version)
}
