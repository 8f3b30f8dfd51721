package control

import (
	"context"
	"fmt"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// ScaleComponent sets the instances of a component on cmd.HostID. The notice is the host's text on acceptance; with
// lattice.IsOtherRef(notice) the host runs another image under that id and keeps it.
func (c *Client) ScaleComponent(ctx context.Context, cmd lattice.ScaleComponent) (notice string, err error) {
	operation := fmt.Sprintf("scale component %s to %d on host %s", cmd.ComponentID, cmd.Count, cmd.HostID)
	subject, err := c.subjects.ComponentScale(cmd.HostID)
	return c.command(ctx, operation, subject, err, cmd)
}

// UpdateComponent changes the image of a component that runs on cmd.HostID. Failures after the host's acceptance emit no
// event; read the inventory.
func (c *Client) UpdateComponent(ctx context.Context, cmd lattice.UpdateComponent) (notice string, err error) {
	operation := fmt.Sprintf("update component %s to %s on host %s", cmd.ComponentID, cmd.NewComponentRef, cmd.HostID)
	subject, err := c.subjects.ComponentUpdate(cmd.HostID)
	return c.command(ctx, operation, subject, err, cmd)
}

// RefreshComponent has cmd.HostID fetch the secrets of a component again without a restart. Success means that the host took
// the request; whoever gives out secrets hears what comes of it. With IsUnsupported the host has no such command.
func (c *Client) RefreshComponent(ctx context.Context, cmd lattice.RefreshComponent) error {
	operation := fmt.Sprintf("refresh the secrets of component %s on host %s", cmd.ComponentID, cmd.HostID)
	subject, err := c.subjects.ComponentRefresh(cmd.HostID)
	_, err = c.command(ctx, operation, subject, err, cmd)
	return err
}

// StartProvider starts a provider on cmd.HostID.
func (c *Client) StartProvider(ctx context.Context, cmd lattice.StartProvider) error {
	operation := fmt.Sprintf("start provider %s on host %s", cmd.ProviderID, cmd.HostID)
	subject, err := c.subjects.ProviderStart(cmd.HostID)
	_, err = c.command(ctx, operation, subject, err, cmd)
	return err
}

// StopProvider stops a provider; the answer comes when it has stopped.
func (c *Client) StopProvider(ctx context.Context, host, providerID string) error {
	operation := fmt.Sprintf("stop provider %s on host %s", providerID, host)
	subject, err := c.subjects.ProviderStop(host)
	_, err = c.command(ctx, operation, subject, err, lattice.StopProvider{HostID: host, ProviderID: providerID})
	return err
}

// AuctionComponent asks which hosts would run a component; one bid a host. Hosts that run it already may bid too.
func (c *Client) AuctionComponent(ctx context.Context, a lattice.ComponentAuction) ([]lattice.ComponentBid, error) {
	return gather(ctx, c, "auction component "+a.ComponentID, c.subjects.ComponentAuction(), a,
		func(b lattice.ComponentBid) string { return b.HostID })
}

// AuctionProvider asks which hosts would run a provider; one bid a host.
func (c *Client) AuctionProvider(ctx context.Context, a lattice.ProviderAuction) ([]lattice.ProviderBid, error) {
	return gather(ctx, c, "auction provider "+a.ProviderID, c.subjects.ProviderAuction(), a,
		func(b lattice.ProviderBid) string { return b.HostID })
}

func (c *Client) command(ctx context.Context, operation, subject string, subjectErr error, body any) (string, error) {
	if subjectErr != nil {
		return "", &Error{Operation: operation, Err: subjectErr}
	}
	reply, err := c.request(ctx, operation, subject, body)
	return reply.Message, err
}
