package cli

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/hostgroup"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/policy"
)

// What the controllers of host groups and exposure see of applications.
var (
	_ hostgroup.Applications = groupApplications{}
	_ exposure.Applications  = exposedApplications{}
)

// groupApplications lists the applications of a lattice for the status of host groups.
type groupApplications struct{ cache *applications.Cache }

func (g groupApplications) Applications(_ context.Context, lattice string) ([]hostgroup.App, error) {
	known, err := applications.NewLattice(g.cache, nil, lattice).List()
	if err != nil {
		return nil, err
	}
	apps := make([]hostgroup.App, 0, len(known))
	for _, app := range known {
		apps = append(apps, hostgroup.App{Name: app.Name, Version: app.Status.Version})
	}
	return apps, nil
}

// exposedApplications shows applications to exposure and takes its reports.
type exposedApplications struct {
	cache     *applications.Cache
	client    *applications.Client
	revisions *applications.Revisions
}

func (e exposedApplications) Application(ctx context.Context, key types.NamespacedName) (*exposure.Application, error) {
	if !e.cache.HasSynced() {
		return nil, applications.ErrNotSynced
	}
	app := e.cache.Get(key.Namespace, key.Name)
	if app == nil {
		return nil, nil
	}
	deployed := manifest.Deployed(app.Annotations)
	out := &exposure.Application{
		Namespace: app.Namespace, Name: app.Name, UID: app.UID, Lattice: app.Status.Lattice, Generation: app.Generation,
		Deployed: !deployed.Undeployed, Disabled: app.Annotations[exposure.ExposeAnnotation] == "false",
		Exposed:  meta.FindStatusCondition(app.Status.Conditions, exposure.ConditionExposed),
		Routed:   meta.FindStatusCondition(app.Status.Conditions, exposure.ConditionRouted),
		Endpoint: app.Status.Endpoint,
	}
	if kept := app.Status.Service; kept != nil {
		out.Kept = exposure.Kept{Type: corev1.ServiceType(kept.Type), Annotations: kept.Annotations, NodePorts: kept.NodePorts}
	}
	if deployed.Undeployed {
		return out, nil
	}
	revision, err := deployedRevision(ctx, e.revisions, app, deployed.Version)
	if err != nil {
		return nil, err
	}
	out.Providers = providersOf(manifest.Parse(app.Name, revision.spec))
	out.Policy, out.Problems = policy.Read(app.Name, revision.spec)
	return out, nil
}

// looksAlike says whether nothing changed that exposure looks at.
func looksAlike(a, b *oam.Application) bool {
	return a.UID == b.UID && a.Generation == b.Generation && a.Status.Lattice == b.Status.Lattice && a.Status.Version == b.Status.Version &&
		maps.Equal(a.Annotations, b.Annotations) && equality.Semantic.DeepEqual(a.Spec, b.Spec)
}

// saysAlike says whether nothing changed that exposure reports.
func saysAlike(a, b *oam.ApplicationStatus) bool {
	same := func(kind string) bool {
		return equality.Semantic.DeepEqual(meta.FindStatusCondition(a.Conditions, kind), meta.FindStatusCondition(b.Conditions, kind))
	}
	return a.Endpoint == b.Endpoint && equality.Semantic.DeepEqual(a.Service, b.Service) && same(exposure.ConditionExposed) && same(exposure.ConditionRouted)
}

func providersOf(model *manifest.Model) []exposure.Provider {
	var providers []exposure.Provider
	for _, c := range model.Components {
		if c.Kind != manifest.KindProvider {
			continue
		}
		serves := slices.ContainsFunc(model.Links, func(l manifest.Link) bool {
			return l.Source == c.ID && l.Namespace == "wasi" && l.Package == "http" && slices.Contains(l.Interfaces, "incoming-handler")
		})
		providers = append(providers, exposure.Provider{ID: c.ID, Component: c.Name, Image: c.Image, Config: c.Config, ServesHTTP: serves})
	}
	return providers
}

func (e exposedApplications) InLattice(_ context.Context, lattice string) ([]types.NamespacedName, error) {
	known, err := applications.NewLattice(e.cache, nil, lattice).List()
	if err != nil {
		return nil, err
	}
	keys := make([]types.NamespacedName, 0, len(known))
	for _, app := range known {
		keys = append(keys, types.NamespacedName{Namespace: app.Namespace, Name: app.Name})
	}
	return keys, nil
}

// settingsOf is nil where users set nothing.
func settingsOf(kept exposure.Kept) *oam.ServiceSettings {
	if kept.Type == "" && len(kept.Annotations) == 0 && len(kept.NodePorts) == 0 {
		return nil
	}
	return &oam.ServiceSettings{Type: string(kept.Type), Annotations: kept.Annotations, NodePorts: kept.NodePorts}
}

// setCondition sets a condition, or takes the one of that type away.
func setCondition(conditions *[]metav1.Condition, kind string, condition *metav1.Condition) {
	if condition == nil {
		meta.RemoveStatusCondition(conditions, kind)
		return
	}
	meta.SetStatusCondition(conditions, *condition)
}

// Report writes conditions, endpoint and what is kept; nothing is written when the status says so already.
func (e exposedApplications) Report(ctx context.Context, key types.NamespacedName, uid types.UID, report exposure.Exposure) error {
	known := e.cache.Get(key.Namespace, key.Name) // as good as a question to the API, unless it is old
	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		app := known.DeepCopy()
		if known = nil; app == nil {
			if app, err = e.client.In(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{}); err != nil {
				return err
			}
		}
		if app.UID != uid {
			return nil
		}
		before := app.Status.DeepCopy()
		app.Status.Endpoint = report.Endpoint
		app.Status.Service = settingsOf(report.Kept)
		setCondition(&app.Status.Conditions, exposure.ConditionExposed, report.Condition)
		setCondition(&app.Status.Conditions, exposure.ConditionRouted, report.Routed)
		if equality.Semantic.DeepEqual(*before, app.Status) {
			return nil
		}
		_, err = e.client.In(key.Namespace).UpdateStatus(ctx, app, metav1.UpdateOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil // it is gone, and nobody reads its status
	}
	return err
}
