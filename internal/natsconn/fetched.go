package natsconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Secrets are what a connection logs in with and checks servers by. At most one of Creds, Seed and User is set.
type Secrets struct {
	// Creds is the content of a .creds file.
	Creds []byte
	// Seed of an nkey.
	Seed []byte
	// User and Password of servers that use them.
	User, Password string
	// CA are the PEM certificates that servers are checked against. Empty: those of the system.
	CA []byte
	// Cert and Key are the client's certificate as PEM, where the server wants one.
	Cert, Key []byte
}

// fetcher reads secrets anew for each attempt to connect, so that changed ones are used without a new connection. What
// was read last stands in while they can't be read.
type fetcher struct {
	read func() (Secrets, error)

	mu   sync.Mutex
	last Secrets
}

func (f *fetcher) fetch() Secrets {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, err := f.read(); err == nil {
		f.last = s
	}
	return f.last
}

func (f *fetcher) known() Secrets {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// fetchedOptions looks once at what there is: a connection keeps its way to log in, only what it uses changes.
func (c Config) fetchedOptions() ([]nats.Option, error) {
	if c.Secrets == nil {
		return nil, nil
	}
	first, err := c.Secrets()
	if err != nil {
		return nil, err
	}
	f := &fetcher{read: c.Secrets, last: first}
	// In order: an error then is the same at each attempt, and who shows it is not busy with its changes.
	set := append(f.tlsOptions(), nats.DontRandomize())
	switch {
	case len(first.Creds) > 0:
		set = append(set, nats.UserJWT(
			func() (string, error) { return nkeys.ParseDecoratedJWT(f.fetch().Creds) },
			func(nonce []byte) ([]byte, error) { return signed(nonce, f.known().Creds, nkeys.ParseDecoratedNKey) }))
	case len(first.Seed) > 0:
		public, err := publicKey(first.Seed)
		if err != nil {
			return nil, err
		}
		set = append(set, nats.Nkey(public, func(nonce []byte) ([]byte, error) { return signed(nonce, f.fetch().Seed, nkeys.FromSeed) }))
	case first.User != "":
		set = append(set, nats.UserInfoHandler(func() (string, string) {
			now := f.fetch()
			return now.User, now.Password
		}))
	}
	return set, nil
}

func publicKey(seed []byte) (string, error) {
	key, err := nkeys.FromSeed(seed)
	if err != nil {
		return "", fmt.Errorf("%w: the nkey seed can't be read", ErrConfig)
	}
	public, err := key.PublicKey()
	if err != nil {
		return "", fmt.Errorf("%w: the nkey seed has no public key", ErrConfig)
	}
	return public, nil
}

func (f *fetcher) tlsOptions() []nats.Option {
	var cert nats.TLSCertHandler
	if len(f.last.Cert) > 0 {
		cert = func() (tls.Certificate, error) {
			now := f.fetch()
			pair, err := tls.X509KeyPair(now.Cert, now.Key)
			if err != nil {
				return tls.Certificate{}, fmt.Errorf("%w: the client certificate and its key don't belong together or can't be read", ErrConfig)
			}
			return pair, nil
		}
	}
	var authorities nats.RootCAsHandler
	if len(f.last.CA) > 0 {
		authorities = func() (*x509.CertPool, error) {
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(f.fetch().CA) {
				return nil, fmt.Errorf("%w: the certificate authority holds no PEM certificate", ErrConfig)
			}
			return pool, nil
		}
	}
	if cert == nil && authorities == nil {
		return nil
	}
	return []nats.Option{nats.ClientTLSConfig(cert, authorities)}
}

// signed never repeats what could not be parsed: it may hold a seed.
func signed(nonce, secret []byte, parse func([]byte) (nkeys.KeyPair, error)) ([]byte, error) {
	key, err := parse(secret)
	if err != nil {
		return nil, errors.New("the credentials hold no nkey seed")
	}
	defer key.Wipe()
	return key.Sign(nonce)
}
