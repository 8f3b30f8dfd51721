package control

import (
	"context"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Ping asks all hosts who they are and gathers answers for the whole window. Hosts that answer twice count once.
func (c *Client) Ping(ctx context.Context) ([]lattice.HostPing, error) {
	return gather(ctx, c, "ping hosts", c.subjects.HostPing(), nil,
		func(p lattice.HostPing) string { return p.ID })
}

// HostInventory asks one host what it runs.
func (c *Client) HostInventory(ctx context.Context, host string) (lattice.Inventory, error) {
	operation := "get the inventory of host " + host
	subject, err := c.subjects.HostGet(host)
	if err != nil {
		return lattice.Inventory{}, &Error{Operation: operation, Err: err}
	}
	return fetch[lattice.Inventory](ctx, c, operation, subject)
}

// StopHost ends a host. A timeout of 0 leaves the host its own deadline of 10 s.
func (c *Client) StopHost(ctx context.Context, host string, timeout time.Duration) error {
	operation := "stop host " + host
	subject, err := c.subjects.HostStop(host)
	if err != nil {
		return &Error{Operation: operation, Err: err}
	}
	body := lattice.StopHost{HostID: host}
	if timeout > 0 {
		ms := uint64(timeout / time.Millisecond)
		body.Timeout = &ms
	}
	_, err = c.request(ctx, operation, subject, body)
	return err
}

// PutLabel sets a label of a host; it lasts until the host restarts.
func (c *Client) PutLabel(ctx context.Context, host, key, value string) error {
	operation := "put label " + key + " of host " + host
	subject, err := c.subjects.LabelPut(host)
	if err != nil {
		return &Error{Operation: operation, Err: err}
	}
	_, err = c.request(ctx, operation, subject, lattice.PutLabel{Key: key, Value: &value})
	return err
}

// DeleteLabel removes a label of a host; one that is not there is no error.
func (c *Client) DeleteLabel(ctx context.Context, host, key string) error {
	operation := "delete label " + key + " of host " + host
	subject, err := c.subjects.LabelDelete(host)
	if err != nil {
		return &Error{Operation: operation, Err: err}
	}
	_, err = c.request(ctx, operation, subject, lattice.DeleteLabel{Key: key})
	return err
}
