package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Ping gathers the answers of all hosts.
func (c *Client) Ping(ctx context.Context) ([]lattice.HostPing, error) {
	return gather(ctx, c, "ping hosts", c.l.subjects.HostPing(), nil, func(p lattice.HostPing) string { return p.ID })
}

// HostInventory asks one host what it runs.
func (c *Client) HostInventory(ctx context.Context, host string) (lattice.Inventory, error) {
	subject, err := c.l.subjects.HostGet(host)
	return fetch[lattice.Inventory](ctx, c, "get the inventory of host "+host, subject, err)
}

// Links lists all links of the lattice.
func (c *Client) Links(ctx context.Context) ([]lattice.Link, error) {
	return fetch[lattice.List[lattice.Link]](ctx, c, "list links", c.l.subjects.LinkGet(), nil)
}

// ScaleComponent sets the instances of a component on a host.
func (c *Client) ScaleComponent(ctx context.Context, cmd lattice.ScaleComponent) (notice string, err error) {
	operation := fmt.Sprintf("scale component %s to %d on host %s", cmd.ComponentID, cmd.Count, cmd.HostID)
	subject, err := c.l.subjects.ComponentScale(cmd.HostID)
	reply, err := c.request(ctx, operation, subject, err, cmd)
	return reply.Message, err
}

// UpdateComponent changes the image of a component on a host.
func (c *Client) UpdateComponent(ctx context.Context, cmd lattice.UpdateComponent) (notice string, err error) {
	operation := fmt.Sprintf("update component %s to %s on host %s", cmd.ComponentID, cmd.NewComponentRef, cmd.HostID)
	subject, err := c.l.subjects.ComponentUpdate(cmd.HostID)
	reply, err := c.request(ctx, operation, subject, err, cmd)
	return reply.Message, err
}

// StartProvider starts a provider on a host.
func (c *Client) StartProvider(ctx context.Context, cmd lattice.StartProvider) error {
	subject, err := c.l.subjects.ProviderStart(cmd.HostID)
	_, err = c.request(ctx, fmt.Sprintf("start provider %s on host %s", cmd.ProviderID, cmd.HostID), subject, err, cmd)
	return err
}

// StopProvider stops a provider.
func (c *Client) StopProvider(ctx context.Context, host, providerID string) error {
	subject, err := c.l.subjects.ProviderStop(host)
	_, err = c.request(ctx, fmt.Sprintf("stop provider %s on host %s", providerID, host), subject, err,
		lattice.StopProvider{HostID: host, ProviderID: providerID})
	return err
}

// AuctionComponent asks which hosts would run a component.
func (c *Client) AuctionComponent(ctx context.Context, a lattice.ComponentAuction) ([]lattice.ComponentBid, error) {
	return gather(ctx, c, "auction component "+a.ComponentID, c.l.subjects.ComponentAuction(), a,
		func(b lattice.ComponentBid) string { return b.HostID })
}

// AuctionProvider asks which hosts would run a provider.
func (c *Client) AuctionProvider(ctx context.Context, a lattice.ProviderAuction) ([]lattice.ProviderBid, error) {
	return gather(ctx, c, "auction provider "+a.ProviderID, c.l.subjects.ProviderAuction(), a,
		func(b lattice.ProviderBid) string { return b.HostID })
}

// PutLabel sets a label of a host.
func (c *Client) PutLabel(ctx context.Context, host, key, value string) error {
	subject, err := c.l.subjects.LabelPut(host)
	_, err = c.request(ctx, "put label "+key+" of host "+host, subject, err, lattice.PutLabel{Key: key, Value: &value})
	return err
}

// DeleteLabel removes a label of a host.
func (c *Client) DeleteLabel(ctx context.Context, host, key string) error {
	subject, err := c.l.subjects.LabelDelete(host)
	_, err = c.request(ctx, "delete label "+key+" of host "+host, subject, err, lattice.DeleteLabel{Key: key})
	return err
}

// PutLink stores a link.
func (c *Client) PutLink(ctx context.Context, l lattice.Link) error {
	operation := fmt.Sprintf("put link %s of %s to %s (%s:%s)", l.Name, l.SourceID, l.Target, l.WitNamespace, l.WitPackage)
	_, err := c.request(ctx, operation, c.l.subjects.LinkPut(), nil, l)
	return err
}

// DeleteLink removes a link; where no host listens it is taken out of the bucket.
func (c *Client) DeleteLink(ctx context.Context, key lattice.LinkKey) error {
	operation := fmt.Sprintf("delete link %s of %s (%s:%s)", key.Name, key.SourceID, key.WitNamespace, key.WitPackage)
	_, err := c.request(ctx, operation, c.l.subjects.LinkDelete(), nil, lattice.DeleteLink(key))
	if !errors.Is(err, ErrNoResponders) {
		return err
	}
	spec, found, err := readSpec(c.l.buckets, key.SourceID)
	if err != nil || !found {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(spec.Links), func(l lattice.Link) bool { return l.Key() == key })
	if len(left) == len(spec.Links) {
		return nil
	}
	spec.Links = left
	return writeSpec(c.l.buckets, key.SourceID, spec)
}

// PutConfig stores a named configuration.
func (c *Client) PutConfig(ctx context.Context, name string, config lattice.Config) error {
	subject, err := c.l.subjects.ConfigPut(name)
	if config == nil {
		config = lattice.Config{}
	}
	_, err = c.request(ctx, "put config "+name, subject, err, config)
	return err
}

// GetConfig reads a named configuration.
func (c *Client) GetConfig(ctx context.Context, name string) (config lattice.Config, found bool, err error) {
	subject, err := c.l.subjects.ConfigGet(name)
	reply, err := c.request(ctx, "get config "+name, subject, err, nil)
	if err != nil || reply.Response == nil {
		return nil, false, err
	}
	config, err = lattice.Decode[lattice.Config](reply.Response)
	return config, err == nil, err
}

// DeleteConfig removes a named configuration; where no host listens it is purged from the bucket.
func (c *Client) DeleteConfig(ctx context.Context, name string) error {
	subject, err := c.l.subjects.ConfigDelete(name)
	_, err = c.request(ctx, "delete config "+name, subject, err, nil)
	if !errors.Is(err, ErrNoResponders) {
		return err
	}
	return c.l.buckets.Purge(ConfigBucket, name)
}
