package cli

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/grants"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// groupLogins are those with which the hosts of a group pull.
type groupLogins struct {
	// groups is the manager's cache.
	groups client.Reader
	// secrets are read anew each time: a login that was taken away is used no more.
	secrets grants.Reader
}

// of returns the logins of whoever asks; of an asker that is not known none. Errors hold nothing of them.
func (g groupLogins) of(ctx context.Context, asker secrets.Asker) (ociwasm.Logins, error) {
	if asker.Group == "" {
		return nil, nil
	}
	var group v1alpha1.WasmCloudHostConfig
	name := types.NamespacedName{Namespace: asker.Namespace, Name: asker.Group}
	if err := g.groups.Get(ctx, name, &group); err != nil {
		return nil, fmt.Errorf("look at host group %s: %w", name, err)
	}
	secret := group.Spec.RegistryCredentialsSecret
	if secret == "" {
		return nil, nil
	}
	found, err := g.secrets.Secret(ctx, asker.Namespace, secret)
	if err != nil {
		return nil, fmt.Errorf("read Secret %s of spec.registryCredentialsSecret of host group %s: %w", secret, name, err)
	}
	logins, err := ociwasm.ParseLogins(found.Data[corev1.DockerConfigJsonKey])
	if err != nil {
		return nil, fmt.Errorf("Secret %s of spec.registryCredentialsSecret of host group %s, key %s: %w; make it with kubectl create secret docker-registry",
			secret, name, corev1.DockerConfigJsonKey, err)
	}
	return logins, nil
}
