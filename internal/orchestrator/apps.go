package orchestrator

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// appState is what the session knows about one application.
type appState struct {
	key appKey
	app *v1beta1.Application
	// edition tells whether what should run may have changed.
	edition string
	// model of what should run; nil until its version is found.
	model      *manifest.Model
	deployment manifest.Deployment
	// version that should run, for the status.
	version string
	// versionError says why the version that should run is not known.
	versionError string
	// choosing: the version that should run is being read; all that is known belongs to the edition before.
	choosing     bool
	retired      scaler.Retired
	ids, configs []string
	outcome      scaler.Outcome
	// replaced is since when all that runs on hosts that drain is there elsewhere.
	replaced time.Time
	// batches under way; closed when they are void.
	batches map[*batch]bool
	timer   *time.Timer
	status  statusState
}

// editionOf is all that decides what should run.
func editionOf(app *v1beta1.Application) string {
	return fmt.Sprintf("%s/%d/%s/%s/%s", app.UID, app.Generation, app.Annotations[v1beta1.DeployedVersionAnnotation],
		app.Annotations[v1beta1.WashDeployedVersionAnnotation], app.Status.Version)
}

// readApps looks at the applications that changed.
func (s *session) readApps() {
	keys, every := s.changed.take()
	if every || !s.appsKnown {
		s.readAllApps()
		return
	}
	for k := range keys {
		app, err := s.config.Applications.Get(k.namespace, k.name)
		if err != nil {
			s.log.Info("Cannot read an application; trying again", "namespace", k.namespace, "name", k.name, "reason", err.Error())
			s.after(retryPause, func() { s.changed.add(k) })
			continue
		}
		s.setApp(k, app)
	}
}

func (s *session) readAllApps() {
	list, err := s.config.Applications.List()
	if err != nil {
		s.log.V(1).Info("The applications are not known yet; trying again", "reason", err.Error())
		s.after(retryPause/4, s.changed.all)
		return
	}
	found := map[appKey]bool{}
	for _, app := range list {
		k := appKey{app.Namespace, app.Name}
		found[k] = true
		s.setApp(k, app)
	}
	for k := range s.apps {
		if !found[k] {
			s.setApp(k, nil)
		}
	}
	s.appsKnown = true
}

// setApp takes over the state of one application; nil: it is gone from the lattice. What it leaves is the business of
// teardown records.
func (s *session) setApp(k appKey, app *v1beta1.Application) {
	a := s.apps[k]
	if a != nil && (app == nil || a.app.UID != app.UID) {
		s.vanished[k.name] = vanished{uid: string(a.app.UID), since: time.Now()}
		s.forgetApp(a)
		a = nil
	}
	if app == nil {
		s.markRecords()
		return
	}
	if a == nil {
		a = &appState{key: k, batches: map[*batch]bool{}}
		s.apps[k] = a
		s.unread[k] = true
		put(s.index.names, k.name, k)
	}
	// A store that was restored counts generations again: equal ones may have other specs.
	same := a.app != nil && equality.Semantic.DeepEqual(&a.app.Spec, &app.Spec)
	a.app = app
	if edition := editionOf(app); edition != a.edition || !same {
		a.edition = edition
		a.status.planned = false // the outcome is that of the edition before
		s.chooseVersion(a)
		s.markRecords()
	}
	s.statusSeen(a)
}

func (s *session) forgetApp(a *appState) {
	a.cancel()
	s.leave(a)
	s.index.remove(a.key, a.ids, a.configs)
	delete(s.apps, a.key)
	delete(s.unread, a.key)
	delete(s.unsettled, a.key)
	a.stopTimer()
	a.status.stop()
}

// setModel decides what should run. What the model before had and this one has not is retired.
func (s *session) setModel(a *appState, model *manifest.Model, version string) {
	a.cancel()
	if a.model != nil {
		a.retire(a.model)
	}
	a.model, a.version, a.versionError, a.choosing = model, version, "", false
	a.status.planned = false // before the first plan it would say that the version has nothing, and those before had nothing
	delete(s.unread, a.key)
	s.reindex(a)
	s.markApp(a.key)
	s.reconsiderRecords()
}

func (s *session) reindex(a *appState) {
	s.index.remove(a.key, a.ids, a.configs)
	a.ids, a.configs = footprint(a.model, a.retired)
	s.index.add(a.key, a.ids, a.configs)
}

// cancel voids what was decided for the model before: commands that were not sent yet are not sent.
func (a *appState) cancel() {
	for b := range a.batches {
		b.void.Store(true)
	}
}

func (a *appState) stopTimer() {
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

// orphanInterval is how often the list of orphans is made anew.
const orphanInterval = 30 * time.Second

// reportOrphans publishes what runs for nobody.
func (s *session) reportOrphans() {
	s.orphansAt = time.Now()
	if !s.looked || !s.appsKnown || !s.recordsKnown {
		return
	}
	orphans := scaler.Orphans(s.seen, func(name string) bool {
		if len(s.index.names[name]) > 0 {
			return true
		}
		for _, r := range s.records {
			if r.teardown.Application == name {
				return true
			}
		}
		return false
	})
	old := s.owner.Orphans()
	s.owner.orphans.Store(&orphans)
	if len(orphans) != len(old) && len(orphans) > 0 {
		s.log.Info("Some of what runs belongs to no application; it is left alone", "count", len(orphans),
			"application", orphans[0].Application, "id", orphans[0].ID, "host", orphans[0].Host)
	}
}
