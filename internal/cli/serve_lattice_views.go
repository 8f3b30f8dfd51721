package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/exposure"
	"github.com/trellis-operator/trellis/internal/hostgroup"
	"github.com/trellis-operator/trellis/internal/natsconn"
)

// What the controllers of host groups and exposure see of lattices.
var (
	_ hostgroup.Hosts   = (*observers)(nil)
	_ exposure.Lattices = (*observers)(nil)
)

// observer is what a process knows of one lattice.
type observer struct {
	census *census.Census
	wiring *census.Wiring
}

// observers holds one observer for each lattice that is looked after.
type observers struct {
	mu  sync.Mutex
	of  map[string]*observer
	why map[string]error
}

func newObservers() *observers {
	return &observers{of: map[string]*observer{}, why: map[string]error{}}
}

// fail notes why a lattice can't be connected, and says whether that is news.
func (o *observers) fail(lattice string, why error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.why[lattice]
	news := before == nil || before.Error() != why.Error()
	o.why[lattice] = why
	return news
}

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
	if why := o.why[lattice]; why != nil {
		return nil, fmt.Errorf("lattice %q is not connected yet: %w", lattice, why)
	}
	return nil, fmt.Errorf("lattice %q is not connected yet", lattice)
}

// Hosts lists the live hosts for host groups.
func (o *observers) Hosts(_ context.Context, lattice string) ([]hostgroup.Host, error) {
	found, err := o.hostsOf(lattice)
	if err != nil {
		return nil, ofLogin(err)
	}
	hosts := make([]hostgroup.Host, 0, len(found))
	for _, h := range found {
		hosts = append(hosts, hostgroup.Host{
			ID: h.ID, Name: h.Inventory.FriendlyName, Version: h.Inventory.Version, Labels: h.Inventory.Labels,
			StartedAt: h.StartedAt, Components: len(h.Inventory.Components), Providers: len(h.Inventory.Providers),
			Silent: h.Silent,
		})
	}
	return hosts, nil
}

// hostsOf are the live hosts of a lattice.
func (o *observers) hostsOf(lattice string) ([]census.Host, error) {
	view, err := o.get(lattice)
	if err != nil {
		return nil, err
	}
	return view.census.Hosts()
}

// ofLogin marks an error for host groups whose login is refused.
func ofLogin(err error) error {
	if errors.Is(err, control.ErrLoginRefused) || errors.Is(err, natsconn.ErrRefused) {
		return fmt.Errorf("%w: %w", hostgroup.ErrLoginRefused, err)
	}
	return err
}

// View is a lattice as it is known at each moment, for exposure.
func (o *observers) View(_ context.Context, lattice string) (exposure.View, error) {
	view, err := o.get(lattice)
	if err != nil {
		return nil, err
	}
	if err := view.census.Known(); err != nil {
		return nil, err
	}
	if !view.wiring.Complete() {
		return nil, errors.New("the links and configurations of the lattice were not read yet")
	}
	return exposureView{view}, nil
}

type exposureView struct{ *observer }

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
	for _, h := range v.census.Running(id) {
		hosts = append(hosts, exposure.Host{ID: h.ID, Labels: h.Inventory.Labels})
	}
	return hosts
}
