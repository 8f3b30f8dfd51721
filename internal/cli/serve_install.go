package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/trellis-operator/trellis/internal/install"
)

// installDefinitions puts the definitions of host groups and grants into the cluster; the chart leaves that to the
// operator, because they may be there from another installation.
func (s *serve) installDefinitions(ctx context.Context) (err error) {
	s.clients.Kube = s.kube
	if s.clients.Extensions, err = apiextensions.NewForConfig(s.rest); err != nil {
		return fmt.Errorf("make a client for definitions: %w", err)
	}
	if s.clients.Aggregator, err = aggregator.NewForConfig(s.rest); err != nil {
		return fmt.Errorf("make a client for API services: %w", err)
	}
	return install.ApplyCRDs(ctx, s.clients)
}

// registerAPI tells kube-apiserver where the Application API is and what certificate to trust. A group that belongs to
// somebody else stays theirs, and host groups work all the same.
func (s *serve) registerAPI(ctx context.Context, bundle []byte) error {
	err := install.ApplyAPIService(ctx, s.clients, install.Options{
		ServiceNamespace: s.options.namespace, ServiceName: s.options.service, CABundle: bundle, OwnerClusterRole: s.options.ownerRole,
	})
	var foreign *install.ForeignError
	if errors.As(err, &foreign) {
		logr.FromContextOrDiscard(ctx).Error(err, "The Application API is not registered")
		return nil
	}
	return err
}
