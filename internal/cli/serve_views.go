package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/hostgroup"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// What the controllers of host groups and exposure see of lattices and applications.
var (
	_ hostgroup.Hosts        = (*observers)(nil)
	_ hostgroup.Applications = groupApplications{}
	_ exposure.Lattices      = (*observers)(nil)
	_ exposure.Applications  = exposedApplications{}
)

// observer is what a process knows of one lattice.
type observer struct {
	census *census.Census
	wiring *census.Wiring
}

// observers holds one observer for each lattice that is looked after.
type observers struct {
	mu sync.Mutex
	of map[string]*observer
}

func newObservers() *observers { return &observers{of: map[string]*observer{}} }

func (o *observers) set(lattice string, view *observer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[lattice] = view
}

func (o *observers) get(lattice string) (*observer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if view := o.of[lattice]; view != nil {
		return view, nil
	}
	return nil, fmt.Errorf("lattice %q is not connected yet", lattice)
}

// Hosts lists the live hosts for host groups.
func (o *observers) Hosts(_ context.Context, lattice string) ([]hostgroup.Host, error) {
	view, err := o.get(lattice)
	if err != nil {
		return nil, err
	}
	found, err := view.census.Hosts()
	if err != nil {
		return nil, err
	}
	hosts := make([]hostgroup.Host, 0, len(found))
	for _, h := range found {
		hosts = append(hosts, hostgroup.Host{
			ID: h.ID, Name: h.Inventory.FriendlyName, Version: h.Inventory.Version, Labels: h.Inventory.Labels,
			StartedAt: h.StartedAt, Components: len(h.Inventory.Components), Providers: len(h.Inventory.Providers),
		})
	}
	return hosts, nil
}

// View is a lattice at this moment, for exposure.
func (o *observers) View(_ context.Context, lattice string) (exposure.View, error) {
	view, err := o.get(lattice)
	if err != nil {
		return nil, err
	}
	hosts, err := view.census.Hosts()
	if err != nil {
		return nil, err
	}
	if !view.wiring.Complete() {
		return nil, errors.New("the links and configurations of the lattice were not read yet")
	}
	return exposureView{hosts: hosts, wiring: view.wiring}, nil
}

type exposureView struct {
	hosts  []census.Host
	wiring *census.Wiring
}

func (v exposureView) Links(source string) []exposure.Link {
	var links []exposure.Link
	for _, l := range v.wiring.Links(source) {
		links = append(links, exposure.Link{
			Target: l.Target, Namespace: l.WitNamespace, Package: l.WitPackage, Interfaces: l.Interfaces, SourceConfig: l.SourceConfig,
		})
	}
	return links
}

func (v exposureView) Config(name string) (map[string]string, bool) { return v.wiring.Config(name) }

func (v exposureView) Hosts(id string) []exposure.Host {
	var hosts []exposure.Host
	for _, h := range v.hosts {
		if runs(h.Inventory, id) {
			hosts = append(hosts, exposure.Host{ID: h.ID, Labels: h.Inventory.Labels})
		}
	}
	return hosts
}

func runs(i lattice.Inventory, id string) bool {
	return slices.ContainsFunc(i.Providers, func(p lattice.ProviderDescription) bool { return p.ID == id }) ||
		slices.ContainsFunc(i.Components, func(c lattice.ComponentDescription) bool { return c.ID == id && c.MaxInstances > 0 })
}

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
		Exposed: meta.FindStatusCondition(app.Status.Conditions, exposure.ConditionExposed), Endpoint: app.Status.Endpoint,
	}
	if deployed.Undeployed {
		return out, nil
	}
	spec, err := e.deployedSpec(ctx, app, deployed.Version)
	if err != nil {
		return nil, err
	}
	out.Providers = providersOf(manifest.Parse(app.Name, spec))
	return out, nil
}

// deployedSpec is the current spec, or that of the older version that is deployed.
func (e exposedApplications) deployedSpec(ctx context.Context, app *oam.Application, version string) (*oam.ApplicationSpec, error) {
	if version == "" || version == app.Status.Version {
		return &app.Spec, nil
	}
	revisions, err := e.revisions.List(ctx, app.Namespace, app.Name)
	if err != nil {
		return nil, err
	}
	for i := range revisions {
		if revisions[i].Version == version {
			return &revisions[i].Spec, nil
		}
	}
	return nil, fmt.Errorf("application %s/%s has no version %q to deploy", app.Namespace, app.Name, version)
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
		providers = append(providers, exposure.Provider{ID: c.ID, Image: c.Image, Config: c.Config, ServesHTTP: serves})
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

// Report writes condition and endpoint; nothing is written when the status says so already.
func (e exposedApplications) Report(ctx context.Context, key types.NamespacedName, uid types.UID, report exposure.Exposure) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		app, err := e.client.In(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if app.UID != uid {
			return nil
		}
		before := app.Status.DeepCopy()
		app.Status.Endpoint = report.Endpoint
		if report.Condition == nil {
			meta.RemoveStatusCondition(&app.Status.Conditions, exposure.ConditionExposed)
		} else {
			meta.SetStatusCondition(&app.Status.Conditions, *report.Condition)
		}
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
