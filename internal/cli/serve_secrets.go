package cli

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// secretService gives secrets to the hosts of every lattice that is looked after. Each replica has one; nil means that no
// secrets are served.
type secretService struct {
	config  config.Secrets
	keyring *secrets.Keyring
	keeper  secrets.Keeper
	auditor secrets.Auditor
	metrics *secrets.Metrics
	ready   *secretReadiness
	// outcomes of requests, for whoever looks after what runs, and what that has.
	outcomes *secrets.Outcomes
	rotation *secretRotation
	// replicas of the bucket of requests, by lattice.
	replicas func(lattice string) int
}

// secretMetrics are those of the process; see metrics.
var secretMetrics = sync.OnceValues(func() (*secrets.Metrics, error) {
	m, err := secrets.RegisterMetrics(legacyregistry.Registerer())
	if err != nil {
		return nil, fmt.Errorf("register the metrics of secrets: %w", err)
	}
	return m, nil
})

// prepareSecrets reads the keys before anything is served: a host that heard another one would never forget it.
func (s *serve) prepareSecrets(ctx context.Context) (err error) {
	if !s.config.Secrets.Enabled {
		return nil
	}
	keys := &secretKeys{client: s.kube, namespace: s.options.namespace, name: s.options.service + secretsKeySuffix}
	service := &secretService{config: s.config.Secrets, ready: newSecretReadiness(s.ownsAccount), replicas: s.bucketReplicas}
	if service.keyring, err = keys.read(ctx); err != nil {
		return err
	}
	if service.metrics, err = secretMetrics(); err != nil {
		return err
	}
	if service.outcomes, err = secrets.NewOutcomes(s.account, s.config.NATS.Domain, s.config.NATS.Replicas, s.cluster); err != nil {
		return err
	}
	s.parts.start(ctx, "outcomes of requests for secrets", service.outcomes.Run)
	s.secrets = service
	return watchForSecrets(ctx, s.manager.GetCache())
}

// ownsAccount says whether a lattice has an account in the configured NATS.
func (s *serve) ownsAccount(lattice string) bool {
	return slices.ContainsFunc(s.config.Lattices, func(l config.Lattice) bool { return l.Name == lattice })
}

// bucketReplicas are those of the store where its NATS keeps the lattice too. Of another NATS nothing is known.
func (s *serve) bucketReplicas(lattice string) int {
	if s.ownsAccount(lattice) {
		return s.config.NATS.Replicas
	}
	return 1
}

// backend is how applications call it; empty if there is none.
func (s *secretService) backend() string {
	if s == nil {
		return ""
	}
	return s.config.Backend
}

// checks are what readiness asks.
func (s *secretService) checks() []healthz.HealthChecker {
	if s == nil {
		return nil
	}
	return []healthz.HealthChecker{s.ready.check()}
}

// topic names the prefix of a host group; nil if there is nobody to ask.
func (s *secretService) topic() func(namespace, group string) string {
	if s == nil {
		return nil
	}
	return func(namespace, group string) string { return secrets.GroupPrefix(s.config.Prefix, namespace, group) }
}

// server makes the one of a lattice.
func (s *secretService) server(lattice string, link *latticeLink) (*secrets.Server, error) {
	seen, err := secrets.NewSeen(link.conn, link.domain, s.replicas(lattice))
	if err != nil {
		return nil, err
	}
	return secrets.New(secrets.Options{
		Conn: link.conn, Lattice: lattice, Doubt: link.groupsDoubt, Prefixes: []string{s.config.Prefix, s.config.Prefix + ".*.*"}, Backend: s.config.Backend,
		Keyring: s.keyring, Keeper: s.keeper, Memory: seen, Auditor: s.auditor, Metrics: s.metrics,
	})
}

// prepare makes the server of a lattice, and returns what starts it; in a nil service that does nothing. Every replica
// serves: they share the requests.
func (s *secretService) prepare(lattice string, link *latticeLink) (begin func(context.Context, *parts), err error) {
	if s == nil {
		return func(context.Context, *parts) {}, nil
	}
	server, err := s.server(lattice, link)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p *parts) {
		s.ready.add(lattice, link.conn.IsConnected, server.Ready)
		p.start(ctx, "secrets of lattice "+lattice, server.Run)
	}, nil
}
