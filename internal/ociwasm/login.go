package ociwasm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// session is how one registry is spoken to.
type session struct {
	options []remote.Option
	// hush takes out of an error what must not be repeated.
	hush func(error) error
}

func (o Options) remote(ctx context.Context, repository name.Repository) session {
	s := session{[]remote.Option{remote.WithContext(ctx)}, func(err error) error { return err }}
	inner := o.Transport
	if auth := o.authenticator(repository.RegistryStr()); auth != nil {
		if inner == nil {
			inner = remote.DefaultTransport
		}
		inner = guard{inner, o.Insecure}
		s.options, s.hush = append(s.options, remote.WithAuth(auth)), hush
	}
	if inner != nil {
		s.options = append(s.options, remote.WithTransport(inner))
	}
	return s
}

// authenticator returns the login to a registry, or nil.
func (o Options) authenticator(registry string) authn.Authenticator {
	if o.Credentials != nil {
		if user, password, ok := o.Credentials(registry); ok {
			return &authn.Basic{Username: user, Password: password}
		}
	}
	return nil
}

// guard keeps logins, and the tokens got for them, off plain HTTP. go-containerregistry falls back to it by itself where
// TLS fails, at private addresses for one, and a redirect of the registry's own host may lead there.
type guard struct {
	inner    http.RoundTripper
	insecure []string
}

func (g guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Header.Get("Authorization") != "" && request.URL.Scheme != "https" && !g.mayHear(request.URL.Host) {
		return nil, fmt.Errorf("%w, which %s is not", ErrInClear, request.URL.Host)
	}
	return g.inner.RoundTrip(request)
}

func (g guard) mayHear(host string) bool {
	if slices.Contains(g.insecure, host) {
		return true
	}
	if alone, _, err := net.SplitHostPort(host); err == nil {
		host = alone
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// hush keeps what a server said to somebody with a login out of an error: it may repeat the login, or hold a token.
func hush(err error) error {
	var answer *transport.Error
	var network *net.OpError
	var host *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("%w: %d %s", ErrRefused, answer.StatusCode, http.StatusText(answer.StatusCode))
	case errors.As(err, &host):
		return host
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, ErrInClear, http.ErrSchemeMismatch} {
		if errors.Is(err, known) {
			return known
		}
	}
	return ErrRefused
}
