package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/hostgroup"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natskeys"
)

// secretsTimeout bounds one look at the Secrets of a host group while a connection waits for them.
const secretsTimeout = 5 * time.Second

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
	c := n.own()
	if n.config.CredentialsDir != "" {
		c.CredsFile = filepath.Join(n.config.CredentialsDir, natskeys.CredentialsFile(natskeys.AccountStore))
	}
	return natsconn.Connect(ctx, c)
}

// own is how the configured NATS is reached, by nobody yet.
func (n *natsConnector) own() natsconn.Config {
	return natsconn.Config{URLs: []string{n.config.ClientURL()}, Name: n.name, RetryFirst: true}
}

// lattice connects to the account of a lattice.
func (n *natsConnector) lattice(ctx context.Context, lattice string) (*latticeLink, error) {
	if slices.Contains(n.lattices, lattice) {
		return n.ownLattice(ctx, lattice)
	}
	var groups v1alpha1.WasmCloudHostConfigList
	if err := n.groups.List(ctx, &groups); err != nil {
		return nil, fmt.Errorf("list host groups: %w", err)
	}
	for i := range groups.Items {
		if group := &groups.Items[i]; group.Spec.Lattice == lattice {
			conn, err := n.external(ctx, group)
			return &latticeLink{conn: conn, domain: group.Spec.JetstreamDomain}, err
		}
	}
	return nil, errors.New("no account of the chart's NATS and no host group has this lattice")
}

// ownLattice connects to the account of a lattice of the configuration.
func (n *natsConnector) ownLattice(ctx context.Context, lattice string) (*latticeLink, error) {
	account, err := natskeys.LatticeAccount(lattice)
	if err != nil {
		return nil, err
	}
	c, login := n.own(), &ownLogin{}
	if n.config.CredentialsDir != "" {
		login.file = filepath.Join(n.config.CredentialsDir, natskeys.CredentialsFile(account))
		c.Secrets = login.read
	}
	conn, err := natsconn.Connect(ctx, c)
	return &latticeLink{conn: conn, domain: n.config.Domain, doubt: n.doubt(lattice, conn, login)}, err
}

// external connects to the NATS that a host group names, as its Secrets say at that moment.
func (n *natsConnector) external(ctx context.Context, group *v1alpha1.WasmCloudHostConfig) (*nats.Conn, error) {
	access, err := hostgroup.ReadAccess(ctx, n.secrets, group)
	if err != nil {
		return nil, fmt.Errorf("host group %s/%s: %w", group.Namespace, group.Name, err)
	}
	return natsconn.Connect(ctx, natsconn.Config{
		URLs: access.URLs, TLS: access.TLS, Name: n.name,
		Secrets: func() (natsconn.Secrets, error) { return n.secretsOf(ctx, client.ObjectKeyFromObject(group)) },
	})
}

// secretsOf reads them anew: the connection outlives the Secrets and the spec that it began with.
func (n *natsConnector) secretsOf(ctx context.Context, name types.NamespacedName) (natsconn.Secrets, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), secretsTimeout)
	defer cancel()
	var group v1alpha1.WasmCloudHostConfig
	if err := n.groups.Get(ctx, name, &group); err != nil {
		return natsconn.Secrets{}, fmt.Errorf("read host group %s: %w", name, err)
	}
	access, err := hostgroup.ReadAccess(ctx, n.secrets, &group)
	if err != nil {
		return natsconn.Secrets{}, fmt.Errorf("host group %s: %w", name, err)
	}
	return natsconn.Secrets{
		Creds: access.Login.Creds, Seed: access.Login.Seed, User: access.Login.User, Password: access.Login.Password,
		CA: access.CA, Cert: access.Cert, Key: access.Key,
	}, nil
}
