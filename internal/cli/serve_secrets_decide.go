package cli

import (
	"context"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// decideSecrets wires what decides about secrets to what the process knows.
func (s *serve) decideSecrets(ctx context.Context) error {
	if s.secrets == nil {
		return nil
	}
	client, err := applications.NewClient(actAs(s.loopback, apiserver.OrchestratorUser))
	if err != nil {
		return err
	}
	images, err := newRegistries(s.config.Hosts)
	if err != nil {
		return err
	}
	cached, reader := s.manager.GetClient(), secretReader{s.kube.CoreV1()}
	keeper, err := grants.New(grants.Options{
		Applications: secretApplications{s.cache, applications.NewRevisions(client), cachedNamespaces(cached)},
		Hosts:        secretHosts{s.observers.hostsOf, cached},
		Images:       newSecretImages(images, groupLogins{cached, reader}.of),
		Reader:       reader,
		Reviewer:     grants.NewReviews(s.kube.AuthorizationV1().SubjectAccessReviews(), clock.RealClock{}),
		Lister:       grantLister{cached},
		Backend:      s.config.Secrets.Backend,
		Recorder:     s.secrets.outcomes,
	})
	if err != nil {
		return err
	}
	if s.secrets.rotation, err = s.secretRotation(client); err != nil {
		return err
	}
	s.secrets.keeper = keeper
	s.secrets.auditor = auditors{
		secrets.NewLogAuditor(logr.FromContextOrDiscard(ctx)),
		newEventAuditor(s.cache.Find, eventRecorder{s.manager.GetEventRecorder("trellis")}),
	}
	return nil
}
