package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats.go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natskeys"
)

// natsConnector opens the operator's connections: one to its own account, one to each lattice. Lattices of the
// configuration have accounts in the configured NATS; any other is reached as its host groups say.
type natsConnector struct {
	config   config.NATS
	lattices []string
	groups   client.Reader
	secrets  client.Reader
	name     string
}

// store connects to the account of the store, or goes on trying in the background.
func (n *natsConnector) store(ctx context.Context) (*nats.Conn, error) {
	return n.own(ctx, natskeys.AccountStore)
}

func (n *natsConnector) own(ctx context.Context, account string) (*nats.Conn, error) {
	c := natsconn.Config{URLs: []string{n.config.ClientURL()}, Name: n.name, RetryFirst: true}
	if n.config.CredentialsDir != "" {
		c.CredsFile = filepath.Join(n.config.CredentialsDir, natskeys.CredentialsFile(account))
	}
	return natsconn.Connect(ctx, c)
}

// lattice connects to the account of a lattice and names the JetStream domain of its buckets.
func (n *natsConnector) lattice(ctx context.Context, lattice string) (*nats.Conn, string, error) {
	if slices.Contains(n.lattices, lattice) {
		account, err := natskeys.LatticeAccount(lattice)
		if err != nil {
			return nil, "", err
		}
		conn, err := n.own(ctx, account)
		return conn, n.config.Domain, err
	}
	var groups v1alpha1.WasmCloudHostConfigList
	if err := n.groups.List(ctx, &groups); err != nil {
		return nil, "", fmt.Errorf("list host groups: %w", err)
	}
	for i := range groups.Items {
		if group := &groups.Items[i]; group.Spec.Lattice == lattice {
			conn, err := n.external(ctx, group)
			return conn, group.Spec.JetstreamDomain, err
		}
	}
	return nil, "", errors.New("no account of the chart's NATS and no host group has this lattice")
}

// external connects to the NATS that a host group names.
func (n *natsConnector) external(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (*nats.Conn, error) {
	c := natsconn.Config{URLs: []string{fmt.Sprintf("%s:%d", group.Spec.NatsAddress, group.Spec.NatsClientPort)}, Name: n.name}
	if group.Spec.SecretName == "" {
		return natsconn.Connect(ctx, c)
	}
	var secret corev1.Secret
	if err := n.secrets.Get(ctx, types.NamespacedName{Namespace: group.Namespace, Name: group.Spec.SecretName}, &secret); err != nil {
		return nil, fmt.Errorf("read Secret %s/%s of host group %s: %w", group.Namespace, group.Spec.SecretName, group.Name, err)
	}
	file, err := os.CreateTemp("", "nats-*.creds") // mode 0600; read again at each reconnect
	if err != nil {
		return nil, fmt.Errorf("keep the credentials of host group %s/%s: %w", group.Namespace, group.Name, err)
	}
	_, err = file.Write(secret.Data[v1alpha1.CredentialsKey])
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("keep the credentials of host group %s/%s: %w", group.Namespace, group.Name, err)
	}
	c.CredsFile = file.Name()
	return natsconn.Connect(ctx, c)
}
