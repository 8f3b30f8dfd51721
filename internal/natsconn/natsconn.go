// Package natsconn is the one way to connect to NATS: address, credentials, TLS, reconnection, drain.
package natsconn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
)

const (
	// DefaultTimeout bounds one attempt to connect.
	DefaultTimeout = 5 * time.Second

	reconnectWait = 250 * time.Millisecond
	// maxReconnect is also how late a client may be back after its server: leases and stores wait for it.
	maxReconnect    = 2 * time.Second
	pingInterval    = 10 * time.Second
	maxPingsOut     = 3
	drainTimeout    = 10 * time.Second
	defaultConnName = "trellis"
)

// Config says where to connect and as whom. At most one of CredsFile, Creds, User, Token and Secrets is set.
type Config struct {
	// URLs of the servers, `nats://host:port` or `tls://host:port`, without credentials inside.
	URLs []string
	// Name is shown in the server's connection list. Default: trellis.
	Name string
	// CredsFile is the path of a .creds file (JWT and seed). It is read again at every reconnect.
	CredsFile string
	// Creds is the content of a .creds file that there is none of: it stays in memory.
	Creds []byte
	// User and Password, from files or Secrets of the caller.
	User, Password string
	// Token of servers that use one.
	Token string
	// CAFile is the path of the PEM certificates that servers are checked against; it makes TLS required.
	CAFile string
	// CertFile and KeyFile are the client's certificate, where the server wants one.
	CertFile, KeyFile string
	// Secrets, where set, is called for each attempt to connect and gives what the fields above would: for secrets that
	// lie in no file and may change.
	Secrets func() (Secrets, error)
	// TLS demands an encrypted connection also where no certificate is given.
	TLS bool
	// InboxPrefix of replies, for users whose permissions demand one. Default: _INBOX.
	InboxPrefix string
	// Timeout of one attempt. Default: DefaultTimeout.
	Timeout time.Duration
	// RetryFirst goes on trying in the background when no server answers yet: Connect then returns a connection that
	// is not connected. Without it, that is an error.
	RetryFirst bool
}

// Connect connects and keeps the connection alive for good; whoever calls it closes it with Close or Drain.
//
// Nothing is buffered while disconnected: a publish fails at once. With nats.go's default buffer it would succeed, and
// be sent minutes after the caller was told that it failed.
//
// Connection changes are logged to the logger of ctx. Errors never hold a secret.
func Connect(ctx context.Context, c Config) (*nats.Conn, error) {
	options, err := c.options(logr.FromContextOrDiscard(ctx))
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		options.Timeout = min(options.Timeout, max(time.Until(deadline), time.Millisecond))
	}
	conn, err := options.Connect()
	if err != nil {
		return nil, describe(c, err)
	}
	return conn, nil
}

// Drain sends what is under way, waits until subscriptions are handled, and closes the connection, at the latest when
// ctx ends.
func Drain(ctx context.Context, conn *nats.Conn) error {
	closed := make(chan struct{})
	conn.SetClosedHandler(func(*nats.Conn) { close(closed) })
	if err := conn.Drain(); err != nil {
		conn.Close()
		if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionReconnecting) {
			return nil // nothing to send it to
		}
		return fmt.Errorf("drain the NATS connection: %w", err)
	}
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		conn.Close()
		return fmt.Errorf("drain the NATS connection: %w", ctx.Err())
	}
}

func (c Config) options(log logr.Logger) (nats.Options, error) {
	if err := c.validate(); err != nil {
		return nats.Options{}, err
	}
	o := nats.GetDefaultOptions()
	o.Servers = c.URLs
	o.Name = orDefault(c.Name, defaultConnName)
	o.Timeout = c.Timeout
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	o.ReconnectBufSize = -1
	o.MaxReconnect = -1
	o.RetryOnFailedConnect = c.RetryFirst
	// A rejected login may be a server that has not loaded its accounts yet: go on trying.
	o.IgnoreAuthErrorAbort = true
	o.CustomReconnectDelayCB = backoff
	o.PingInterval = pingInterval
	o.MaxPingsOut = maxPingsOut
	o.DrainTimeout = drainTimeout
	o.User, o.Password, o.Token = c.User, c.Password, c.Token
	fetched, err := c.fetchedOptions()
	if err != nil {
		return nats.Options{}, err
	}
	for _, set := range append(c.fileOptions(), fetched...) {
		if err := set(&o); err != nil {
			return nats.Options{}, fmt.Errorf("prepare the NATS connection: %w", err)
		}
	}
	logChanges(&o, log)
	return o, nil
}

func (c Config) fileOptions() []nats.Option {
	var set []nats.Option
	if c.CredsFile != "" {
		set = append(set, nats.UserCredentials(c.CredsFile))
	}
	if len(c.Creds) > 0 {
		set = append(set, nats.UserCredentialBytes(c.Creds))
	}
	if c.CAFile != "" {
		set = append(set, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		set = append(set, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	if c.TLS {
		set = append(set, nats.Secure())
	}
	if c.InboxPrefix != "" {
		set = append(set, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	return set
}

func logChanges(o *nats.Options, log logr.Logger) {
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) {
		if err != nil {
			log.Info("NATS connection lost", "reason", err.Error())
		}
	}
	o.ReconnectedCB = func(conn *nats.Conn) { log.Info("NATS connection restored", "server", conn.ConnectedUrlRedacted()) }
	o.AsyncErrorCB = func(_ *nats.Conn, sub *nats.Subscription, err error) {
		subject := ""
		if sub != nil {
			subject = sub.Subject
		}
		log.Error(err, "NATS reported an error", "subject", subject)
	}
}

// backoff waits longer after each round over all servers, with jitter so that many clients do not return at once.
func backoff(rounds int) time.Duration {
	wait := reconnectWait << min(rounds, 8)
	wait = min(wait, maxReconnect)
	return wait/2 + rand.N(wait/2+1)
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
