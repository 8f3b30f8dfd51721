package apiserver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// tearDown writes a record when an application leaves its lattice or is undeployed.
func (l *lifecycle) tearDown(ctx context.Context, old, app *v1beta1.Application) error {
	if old == nil || old.Status.Lattice == "" {
		return nil
	}
	moved := old.Status.Lattice != app.Status.Lattice
	undeployed := !manifest.Deployed(old.Annotations).Undeployed && manifest.Deployed(app.Annotations).Undeployed
	if !moved && !undeployed {
		return nil
	}
	return l.putTeardown(ctx, old, fmt.Sprintf("%s-%d", app.UID, app.Generation))
}

// putTeardown records all that an application may have left in its lattice: by its current spec and by every version that
// is kept. The status tells which of them ran, and may be some moments behind.
func (l *lifecycle) putTeardown(ctx context.Context, app *v1beta1.Application, id string) error {
	record := Teardown{
		ID: id, Lattice: app.Status.Lattice, Version: app.Status.Version,
		Application: Owner{Namespace: app.Namespace, Name: app.Name, UID: app.UID},
	}
	record.addModel(manifest.Parse(app.Name, &app.Spec))
	record.addStatus(&app.Status)
	kept, err := l.revisions.list(ctx, app)
	if err != nil {
		return err
	}
	for i := range kept {
		record.addModel(manifest.Parse(app.Name, &kept[i].Spec))
	}
	if err := l.teardowns.PutTeardown(ctx, record); err != nil {
		return unavailable(fmt.Sprintf("what must be stopped in lattice %q can't be recorded", record.Lattice), err)
	}
	return nil
}

func (t *Teardown) addModel(m *manifest.Model) {
	for _, c := range m.Components {
		if c.Shared != nil {
			continue // another application runs it
		}
		if c.Kind == manifest.KindProvider {
			t.Providers = add(t.Providers, c.ID)
		} else {
			t.Components = add(t.Components, c.ID)
		}
	}
	for _, link := range m.Links {
		t.Links = add(t.Links, TeardownLink{
			Source: link.Source, Target: link.Target, Name: link.Name, Namespace: link.Namespace, Package: link.Package,
		})
	}
	for _, c := range m.Configs {
		t.Configs = add(t.Configs, c.Name)
	}
}

// addStatus adds what was observed: links and configurations of earlier versions may still be on their way out.
func (t *Teardown) addStatus(s *v1beta1.ApplicationStatus) {
	for _, l := range s.Links {
		if namespace, pkg, ok := strings.Cut(l.Interface, ":"); ok {
			t.Links = add(t.Links, TeardownLink{Source: l.Source, Target: l.Target, Name: l.Name, Namespace: namespace, Package: pkg})
		}
	}
	for _, c := range s.Configs {
		t.Configs = add(t.Configs, c.Name)
	}
	for _, c := range s.Components {
		for _, h := range c.Hosts {
			t.Hosts = add(t.Hosts, h.HostID)
			if h.PodUID != "" {
				if t.Pods == nil {
					t.Pods = map[string]types.UID{}
				}
				t.Pods[h.HostID] = h.PodUID
			}
		}
	}
}

func add[T comparable](list []T, item T) []T {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}
