package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/census"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/orchestrator"
	"github.com/trellis-operator/trellis/internal/rotation"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// secretRotation is what a process has for looking after the secrets of what runs, in whatever lattice.
type secretRotation struct {
	backend  string
	cache    *applications.Cache
	client   *applications.Client
	outcomes *secrets.Outcomes
	versions rotation.Versions
	metrics  *rotation.Metrics
}

// rotationMetrics are those of the process; see metrics.
var rotationMetrics = sync.OnceValues(func() (*rotation.Metrics, error) {
	m, err := rotation.RegisterMetrics(legacyregistry.Registerer())
	if err != nil {
		return nil, fmt.Errorf("register the metrics of rotation: %w", err)
	}
	return m, nil
})

func (s *serve) secretRotation(client *applications.Client) (*secretRotation, error) {
	versions, err := newSecretVersions(s.rest)
	if err != nil {
		return nil, err
	}
	counted, err := rotationMetrics()
	if err != nil {
		return nil, err
	}
	return &secretRotation{
		backend: s.config.Secrets.Backend, cache: s.cache, client: client, outcomes: s.secrets.outcomes, versions: versions, metrics: counted,
	}, nil
}

// rotate starts what looks after the secrets of a lattice wherever its orchestrator leads; in a nil service that does nothing.
func (s *secretService) rotate(ctx context.Context, p *parts, name string, hosts *control.Client, counted *census.Census, leader *orchestrator.Orchestrator) error {
	if s == nil || s.rotation == nil {
		return nil
	}
	r := s.rotation
	made, err := rotation.New(rotation.Options{
		Lattice: name, Metrics: r.metrics, Outcomes: r.outcomes, Versions: r.versions, Leading: leader.Leading,
		Applications: newRotatedApplications(r, name), Hosts: rotatedHosts{counted}, Courier: courier{hosts, leader},
	})
	if err != nil {
		return err
	}
	p.start(ctx, "rotation of secrets in lattice "+name, made.Run)
	return nil
}

// rotatedHosts are the hosts that a census counts.
type rotatedHosts struct{ *census.Census }

var _ rotation.Hosts = rotatedHosts{}

// Running is that of rotation.Hosts.
func (r rotatedHosts) Running(id string) []string {
	found := r.Census.Running(id)
	ids := make([]string, 0, len(found))
	for _, h := range found {
		ids = append(ids, h.ID)
	}
	return ids
}

// courier tells hosts to fetch secrets again: by themselves, or by way of the orchestrator, which alone may send what could
// start something.
type courier struct {
	hosts  *control.Client
	leader *orchestrator.Orchestrator
}

var _ rotation.Courier = courier{}

// Refresh is that of rotation.Courier.
func (c courier) Refresh(ctx context.Context, host, id string) error {
	err := c.hosts.RefreshComponent(ctx, lattice.RefreshComponent{ComponentID: id, HostID: host})
	if control.IsUnsupported(err) {
		return errors.Join(rotation.ErrUnsupported, err)
	}
	return err
}

// Restart is that of rotation.Courier.
func (c courier) Restart(ctx context.Context, p rotation.Place) error {
	return c.leader.Renew(ctx, orchestrator.Renewal(p))
}
