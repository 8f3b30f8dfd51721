package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// PutLink stores a link. Success means stored: what a provider makes of it has no event. Puts of links of one source
// must not run at the same time, or one of them may be lost: hosts write the source's record without comparing.
func (c *Client) PutLink(ctx context.Context, l lattice.Link) error {
	operation := fmt.Sprintf("put link %s of %s to %s (%s:%s)", l.Name, l.SourceID, l.Target, l.WitNamespace, l.WitPackage)
	_, err := c.request(ctx, operation, c.subjects.LinkPut(), l)
	return err
}

// DeleteLink removes a link; one that is not there is no error. Where no host listens, the link is taken out of the bucket
// that hosts share.
func (c *Client) DeleteLink(ctx context.Context, key lattice.LinkKey) error {
	operation := fmt.Sprintf("delete link %s of %s (%s:%s)", key.Name, key.SourceID, key.WitNamespace, key.WitPackage)
	_, err := c.request(ctx, operation, c.subjects.LinkDelete(), lattice.DeleteLink(key))
	return c.orStored(ctx, operation, err, func(ctx context.Context) error { return c.deleteStoredLink(ctx, key) })
}

// orStored does without a host what no host was there for.
func (c *Client) orStored(ctx context.Context, operation string, err error, instead func(context.Context) error) error {
	if !errors.Is(err, ErrNoResponders) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	if err := instead(ctx); err != nil {
		return &Error{Operation: operation + " where no host listens", Err: c.translate(err)}
	}
	return nil
}

// Links lists all links of the lattice in one message. Above the server's payload limit (1 MiB by default) real hosts
// never answer: watch the data bucket instead where lattices may grow.
func (c *Client) Links(ctx context.Context) ([]lattice.Link, error) {
	return fetch[lattice.List[lattice.Link]](ctx, c, "list links", c.subjects.LinkGet())
}

// Claims lists the claims of signed components and providers, in one message as Links.
func (c *Client) Claims(ctx context.Context) ([]lattice.StringMap, error) {
	return fetch[lattice.List[lattice.StringMap]](ctx, c, "list claims", c.subjects.ClaimsGet())
}

// PutConfig stores a named configuration.
func (c *Client) PutConfig(ctx context.Context, name string, config lattice.Config) error {
	subject, err := c.subjects.ConfigPut(name)
	if config == nil {
		config = lattice.Config{}
	}
	_, err = c.command(ctx, "put config "+name, subject, err, config)
	return err
}

// GetConfig reads a named configuration; found is false where there is none.
func (c *Client) GetConfig(ctx context.Context, name string) (config lattice.Config, found bool, err error) {
	operation := "get config " + name
	subject, err := c.subjects.ConfigGet(name)
	if err != nil {
		return nil, false, &Error{Operation: operation, Err: err}
	}
	reply, err := c.request(ctx, operation, subject, nil)
	if err != nil || reply.Response == nil {
		return nil, false, err
	}
	config, err = lattice.Decode[lattice.Config](reply.Response)
	if err != nil {
		return nil, false, &Error{Operation: operation, Err: fmt.Errorf("%w: %w", ErrBadReply, err)}
	}
	return config, true, nil
}

// DeleteConfig removes a named configuration; one that is not there is no error. Where no host listens, it is purged from
// the bucket that hosts share.
func (c *Client) DeleteConfig(ctx context.Context, name string) error {
	operation := "delete config " + name
	subject, err := c.subjects.ConfigDelete(name)
	_, err = c.command(ctx, operation, subject, err, nil)
	return c.orStored(ctx, operation, err, func(ctx context.Context) error { return c.deleteStoredConfig(ctx, name) })
}
