package natsconn

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// Errors of Connect; match with errors.Is.
var (
	// ErrConfig: the configuration contradicts itself or names a file that cannot be read.
	ErrConfig = errors.New("the NATS configuration is wrong")
	// ErrUnreachable: no server answers at the addresses.
	ErrUnreachable = errors.New("no NATS server answers")
	// ErrRefused: a server answers and does not accept the credentials.
	ErrRefused = errors.New("the NATS server refuses the credentials")
)

func (c Config) validate() error {
	if len(c.URLs) == 0 {
		return fmt.Errorf("%w: no address is given", ErrConfig)
	}
	for _, text := range c.URLs {
		if err := validateURL(text); err != nil {
			return err
		}
	}
	ways := 0
	for _, set := range []bool{c.CredsFile != "", len(c.Creds) > 0, c.User != "", c.Token != "", c.Secrets != nil} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		return fmt.Errorf("%w: give credentials, a user or a token, not several", ErrConfig)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return fmt.Errorf("%w: a client certificate needs both its file and its key file", ErrConfig)
	}
	for _, path := range []string{c.CredsFile, c.CAFile, c.CertFile, c.KeyFile} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	return nil
}

// validateURL never repeats the text: it may hold a password.
func validateURL(text string) error {
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%w: an address is not of the form nats://host:port", ErrConfig)
	}
	if u.User != nil {
		return fmt.Errorf("%w: the address of %s holds credentials; give them by file instead", ErrConfig, u.Host)
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
		return nil
	}
	return fmt.Errorf("%w: the address of %s has scheme %q; use nats or tls", ErrConfig, u.Host, u.Scheme)
}

func describe(c Config, err error) error {
	where := strings.Join(c.URLs, ", ")
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired),
		errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return fmt.Errorf("connect to NATS at %s as %s: %w: %w", where, c.identity(), ErrRefused, err)
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("connect to NATS at %s: %w; is it running, and is the address right? %w", where, ErrUnreachable, err)
	default:
		return fmt.Errorf("connect to NATS at %s: %w", where, err)
	}
}

// identity says how the client logged in, without what it logged in with.
func (c Config) identity() string {
	switch {
	case c.CredsFile != "":
		return "the user of " + c.CredsFile
	case len(c.Creds) > 0:
		return "the user of the given credentials"
	case c.User != "":
		return fmt.Sprintf("user %q", c.User)
	case c.Token != "":
		return "a token"
	case c.Secrets != nil:
		return "the user of its Secret"
	default:
		return "nobody"
	}
}
