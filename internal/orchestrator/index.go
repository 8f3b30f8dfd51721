package orchestrator

import (
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// index tells whom news concern: it leads from ids, configurations and names to applications.
type index struct {
	ids, configs, names map[string][]appKey
}

func newIndex() index {
	return index{ids: map[string][]appKey{}, configs: map[string][]appKey{}, names: map[string][]appKey{}}
}

func put(m map[string][]appKey, name string, k appKey) {
	if !slices.Contains(m[name], k) {
		m[name] = append(m[name], k)
	}
}

func drop(m map[string][]appKey, name string, k appKey) {
	if m[name] = slices.DeleteFunc(m[name], func(o appKey) bool { return o == k }); len(m[name]) == 0 {
		delete(m, name)
	}
}

// footprint is every id and configuration whose change concerns an application.
func footprint(m *manifest.Model, retired scaler.Retired) (ids, configs []string) {
	for _, c := range m.Components {
		ids = append(ids, c.ID)
		configs = append(configs, c.Config...)
	}
	for _, l := range m.Links {
		ids = append(ids, l.Source)
		configs = slices.Concat(configs, l.SourceConfig, l.TargetConfig)
	}
	for _, l := range retired.Links {
		ids = append(ids, l.SourceID)
	}
	configs = append(configs, retired.Configs...)
	configs = append(configs, m.External...)
	return ids, configs
}

func (x index) add(k appKey, ids, configs []string) {
	put(x.names, k.name, k)
	for _, id := range ids {
		put(x.ids, id, k)
	}
	for _, name := range configs {
		put(x.configs, name, k)
	}
}

func (x index) remove(k appKey, ids, configs []string) {
	drop(x.names, k.name, k)
	for _, id := range ids {
		drop(x.ids, id, k)
	}
	for _, name := range configs {
		drop(x.configs, name, k)
	}
}

func (s *session) markApp(k appKey)    { s.dirty.add(unitKey{app: k}) }
func (s *session) markRecord(n string) { s.dirty.add(unitKey{record: n}) }

func (s *session) markID(id string) {
	for _, k := range s.index.ids[id] {
		s.markApp(k)
	}
	s.markRecords()
}

func (s *session) markConfig(name string) {
	for _, k := range s.index.configs[name] {
		s.markApp(k)
	}
	s.markRecords()
}

func (s *session) markName(name string) {
	for _, k := range s.index.names[name] {
		s.markApp(k)
	}
	s.markRecords()
}

// markRecords marks every teardown record: there are few, and not for long.
func (s *session) markRecords() {
	for id := range s.records {
		s.markRecord(id)
	}
}

// noteSettled notes after a plan whether hosts that come or go concern the application although nothing of it ran there: those
// that lack something, and those that want something on every host.
func (s *session) noteSettled(a *appState) {
	everywhere := slices.ContainsFunc(a.model.Components, func(c manifest.Component) bool { return c.Scaler != nil && c.Scaler.Daemon })
	if a.outcome.Converged && !everywhere {
		delete(s.unsettled, a.key)
	} else {
		s.unsettled[a.key] = true
	}
}

func (s *session) markUnsettled() {
	for k := range s.unsettled {
		s.markApp(k)
	}
	s.markRecords()
}

// markRecordsOf marks the records of an application: they wait for a live one of the same name to settle.
func (s *session) markRecordsOf(application string) {
	for id, r := range s.records {
		if r.teardown.Application == application {
			s.markRecord(id)
		}
	}
}

func (s *session) markAll() {
	for k := range s.apps {
		s.markApp(k)
	}
	s.markRecords()
}

// live answers what deployed applications want, for teardowns.
type live struct{ s *session }

var _ scaler.Live = live{}

// HasApplication is true for applications that are known at all: an undeployed one ends what is its own itself.
func (l live) HasApplication(name string) bool { return len(l.s.index.names[name]) > 0 }

func (l live) WantsID(id string) bool {
	return l.some(l.s.index.ids[id], func(m *manifest.Model) bool {
		return slices.ContainsFunc(m.Components, func(c manifest.Component) bool {
			return c.ID == id && c.Shared == nil && c.Scaler != nil
		})
	})
}

func (l live) WantsLink(key lattice.LinkKey) bool {
	return l.some(l.s.index.ids[key.SourceID], func(m *manifest.Model) bool {
		return slices.ContainsFunc(m.Links, func(x manifest.Link) bool {
			return lattice.LinkKey{SourceID: x.Source, Name: x.Name, WitNamespace: x.Namespace, WitPackage: x.Package} == key
		})
	})
}

func (l live) WantsConfig(name string) bool {
	return l.some(l.s.index.configs[name], func(m *manifest.Model) bool {
		_, configs := footprint(m, scaler.Retired{})
		return slices.Contains(configs, name) ||
			slices.ContainsFunc(m.Configs, func(c manifest.Config) bool { return c.Name == name })
	})
}

func (l live) Settled(name string) bool {
	for _, k := range l.s.index.names[name] {
		a := l.s.apps[k]
		if a == nil || !a.status.planned || len(a.outcome.Leaving) > 0 || slices.ContainsFunc(a.outcome.Components, func(c scaler.ComponentState) bool { return !c.Ready }) ||
			slices.ContainsFunc(a.outcome.Links, func(l scaler.LinkState) bool { return !l.Ready }) {
			return false
		}
	}
	return true
}

func (l live) some(keys []appKey, ok func(*manifest.Model) bool) bool {
	for _, k := range keys {
		if a := l.s.apps[k]; a != nil && a.model != nil && ok(a.model) {
			return true
		}
	}
	return false
}
