package orchestrator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/scaler"
)

// currentVersion is the name of the version in spec.
func currentVersion(app *v1beta1.Application) string {
	if app.Status.Version != "" {
		return app.Status.Version
	}
	return app.Annotations[v1beta1.VersionAnnotation]
}

// chooseVersion finds the spec of the version that should run and makes the model of it. What an older run of ours put
// into the lattice for other versions is found first, so that it is removed and not forgotten.
func (s *session) chooseVersion(a *appState) {
	a.deployment = manifest.Deployed(a.app.Annotations)
	version := currentVersion(a.app)
	older := false
	switch {
	case a.deployment.Undeployed:
		version = ""
	case a.deployment.Version != "" && a.deployment.Version != version:
		version, older = a.deployment.Version, true
	}
	if a.model == nil && s.mayHaveHistory(a.app, version) || older {
		s.readRevisions(a, version, older)
		return
	}
	a.adopt()
	s.setModel(a, modelOf(a, &a.app.Spec), version)
}

func modelOf(a *appState, spec *v1beta1.ApplicationSpec) *manifest.Model {
	if a.deployment.Undeployed {
		return &manifest.Model{Name: a.key.name}
	}
	return manifest.Parse(a.key.name, spec)
}

// mayHaveHistory says whether another version may have left something in the lattice: the status names another version, or
// none although the object is not new.
func (s *session) mayHaveHistory(app *v1beta1.Application, version string) bool {
	if app.Status.DeployedVersion == "" {
		return app.Generation > 1
	}
	return app.Status.DeployedVersion != version
}

// readRevisions reads the stored versions beside the session.
func (s *session) readRevisions(a *appState, version string, older bool) {
	edition := a.edition
	a.choosing = true
	s.spawn(func() {
		list, err := s.config.Revisions.List(s.ctx, a.key.namespace, a.key.name)
		s.post(func() {
			if s.apps[a.key] != a || a.edition != edition {
				return
			}
			if err != nil {
				a.choosing = false
				a.versionError = fmt.Sprintf("the versions of the application cannot be read: %v", err)
				s.markApp(a.key)
				s.after(retryPause, func() { s.retryRevisions(a, edition) })
				return
			}
			s.useRevisions(a, list, version, older)
		})
	})
}

func (s *session) retryRevisions(a *appState, edition string) {
	if s.apps[a.key] == a && a.edition == edition {
		s.chooseVersion(a)
	}
}

func (s *session) useRevisions(a *appState, list []v1beta1.ApplicationRevision, version string, older bool) {
	spec := &a.app.Spec
	if older {
		i := slices.IndexFunc(list, func(r v1beta1.ApplicationRevision) bool { return r.Version == version })
		if i < 0 {
			a.choosing = false
			a.versionError = fmt.Sprintf("version %s is not known; choose one of %s", version, versionNames(list))
			a.adopt()
			s.markApp(a.key)
			return
		}
		spec = &list[i].Spec
	}
	if a.model == nil {
		a.adopt()
		for i := range list {
			a.retire(manifest.Parse(a.key.name, &list[i].Spec))
		}
	}
	s.setModel(a, modelOf(a, spec), version)
}

func versionNames(list []v1beta1.ApplicationRevision) string {
	names := make([]string, 0, len(list))
	for _, r := range list {
		names = append(names, r.Version)
	}
	if len(names) == 0 {
		return "those that exist (there are none)"
	}
	return strings.Join(names, ", ")
}

// adopt takes over from the status what an older run of ours was still removing.
func (a *appState) adopt() {
	if a.model != nil {
		return
	}
	for _, l := range a.app.Status.Links {
		namespace, pkg, ok := strings.Cut(l.Interface, ":")
		if ok {
			a.retireLink(lattice.Link{SourceID: l.Source, Target: l.Target, Name: l.Name, WitNamespace: namespace, WitPackage: pkg})
		}
	}
	for _, c := range a.app.Status.Configs {
		a.retireConfig(c.Name)
	}
}

// retire notes what a version puts into the lattice; as long as the version that runs wants the same, that changes
// nothing.
func (a *appState) retire(m *manifest.Model) {
	for _, l := range m.Links {
		a.retireLink(lattice.Link{SourceID: l.Source, Target: l.Target, Name: l.Name, WitNamespace: l.Namespace, WitPackage: l.Package})
	}
	for _, c := range m.Configs {
		a.retireConfig(c.Name)
	}
}

func (a *appState) retireLink(l lattice.Link) {
	same := func(o lattice.Link) bool { return o.Key() == l.Key() && o.Target == l.Target }
	if !slices.ContainsFunc(a.retired.Links, same) {
		a.retired.Links = append(a.retired.Links, l)
	}
}

// retireConfig notes configurations that carry the name of the application; others belong to somebody else.
func (a *appState) retireConfig(name string) {
	prefix := manifest.DerivedID(a.key.name, "")
	if !strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, manifest.SecretConfigName(a.key.name, "")) {
		return
	}
	if !slices.Contains(a.retired.Configs, name) {
		a.retired.Configs = append(a.retired.Configs, name)
	}
}

// settledRetired forgets what was retired and is gone, some time after the change: what was commanded before may still
// arrive.
func (s *session) settledRetired(a *appState, left scaler.Retired) {
	if len(left.Links) == len(a.retired.Links) && len(left.Configs) == len(a.retired.Configs) {
		return
	}
	a.retired = left
	s.reindex(a)
}

// pauseBetween is the growing pause before try n (from 1), with jitter.
func pauseBetween(n int, random float64) time.Duration {
	const first, longest = time.Second, 2 * time.Minute
	d := longest
	if n < 8 {
		d = min(longest, first<<(n-1))
	}
	return time.Duration(float64(d) * (0.8 + 0.4*random))
}
