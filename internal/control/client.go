// Package control is the client of wasmCloud's control interface: verbs over the nouns of internal/lattice.
//
// A reply to a scale, update or start command means that the host took it, not that it happened: completion shows in
// events and inventories. A timeout means that the outcome is unknown. Commands are absolute, so they may be repeated.
package control

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Defaults of Options; the first two are those of wasmCloud's own client.
const (
	DefaultTimeout     = 2 * time.Second
	DefaultWindow      = 5 * time.Second
	DefaultBucketCheck = 15 * time.Second
)

// Options of a Client.
type Options struct {
	// Prefix of control subjects. Default: wasmbus.ctl.
	Prefix string
	// Timeout of one request. Default: DefaultTimeout.
	Timeout time.Duration
	// Window is how long answers of many hosts (ping, auctions) are gathered. Default: DefaultWindow.
	Window time.Duration
	// Domain is the JetStream domain of the lattice's buckets. Default: that of the connection's server.
	Domain string
	// BucketCheck is how often watches ask whether their bucket was replaced. Default: DefaultBucketCheck.
	BucketCheck time.Duration
}

// Client talks to the hosts of one lattice. It is safe for concurrent use and does not own its connection.
type Client struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	subjects lattice.Subjects
	options  Options
}

// New makes a client for a lattice over an open connection.
func New(conn *nats.Conn, name string, o Options) (*Client, error) {
	subjects, err := lattice.NewSubjects(o.Prefix, name)
	if err != nil {
		return nil, fmt.Errorf("make a control client: %w", err)
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	if o.BucketCheck <= 0 {
		o.BucketCheck = DefaultBucketCheck
	}
	js, err := openJetStream(conn, o.Domain)
	if err != nil {
		return nil, fmt.Errorf("make a control client: %w", err)
	}
	return &Client{conn: conn, js: js, subjects: subjects, options: o}, nil
}

func openJetStream(conn *nats.Conn, domain string) (jetstream.JetStream, error) {
	if domain == "" {
		return jetstream.New(conn)
	}
	return jetstream.NewWithDomain(conn, domain)
}

// Lattice is the name of the lattice.
func (c *Client) Lattice() string { return c.subjects.Lattice() }

// Connected says whether the connection is up at this moment.
func (c *Client) Connected() bool { return c.conn.IsConnected() }

// request sends one body (nil for none) and returns the accepted reply.
func (c *Client) request(ctx context.Context, operation, subject string, body any) (lattice.Reply, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = lattice.Encode(body); err != nil {
			return lattice.Reply{}, &Error{Operation: operation, Err: err}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	msg, err := c.conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return lattice.Reply{}, &Error{Operation: operation, Err: c.translate(err)}
	}
	return decodeReply(operation, msg.Data)
}

func decodeReply(operation string, data []byte) (lattice.Reply, error) {
	reply, err := lattice.Decode[lattice.Reply](data)
	if err != nil {
		return lattice.Reply{}, &Error{Operation: operation, Err: fmt.Errorf("%w: %w", ErrBadReply, err)}
	}
	if !reply.Success {
		return lattice.Reply{}, &Error{Operation: operation, Err: &RefusedError{Message: reply.Message}}
	}
	return reply, nil
}

// fetch is request for operations whose reply carries a payload.
func fetch[T any](ctx context.Context, c *Client, operation, subject string) (T, error) {
	var none T
	reply, err := c.request(ctx, operation, subject, nil)
	if err != nil {
		return none, err
	}
	v, err := lattice.Decode[T](reply.Response)
	if err != nil {
		return none, &Error{Operation: operation, Err: fmt.Errorf("%w: %w", ErrBadReply, err)}
	}
	return v, nil
}
