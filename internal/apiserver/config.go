// Package apiserver serves core.oam.dev/v1beta1 as an aggregated Kubernetes API: applications and their revisions, kept
// in internal/store. It is the only writer of the store; everybody else, within the process too, is its client.
package apiserver

import (
	"errors"
	"net"
	"time"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/trellis-operator/trellis/internal/store"
)

// Config says what the server needs. Store, Bindings, Claims, HeldClaims, Teardowns and Listener are required, and exactly
// one of Delegated and ClientCA.
type Config struct {
	// Store holds the objects. The caller closes it after Run has returned.
	Store *store.Store
	// Bindings finds the lattice of an application.
	Bindings Bindings
	// Claims keep two applications from the same names of a lattice.
	Claims Claims
	// HeldClaims frees claims that nobody needs any more.
	HeldClaims HeldClaims
	// Teardowns keep what must be stopped after an application is gone.
	Teardowns Teardowns

	// Ports knows the ports that applications want, for warnings. Default: nobody is warned.
	Ports Ports

	// SecretsBackend is the name by which manifests call Trellis's own backend of secrets. Whoever writes one that
	// references Secrets by it is reviewed. Default: there is none, and nobody is.
	SecretsBackend string

	// Settled says that the store is the one that was served before. No claim is freed by what another one lacks.
	// Default: as the store itself says.
	Settled func() bool

	// Listener accepts TLS connections; closed by Run.
	Listener net.Listener
	// Certificate is the serving certificate; a provider that changes it is followed without a restart.
	Certificate dynamiccertificates.CertKeyContentProvider

	// Delegated makes kube-apiserver answer who a client is and what it may do, and wires admission.
	Delegated *Delegated
	// ClientCA authenticates clients by certificate alone, and each of them may do everything; for dev and tests.
	ClientCA dynamiccertificates.CAContentProvider

	// Audit is the log of requests. Default: none.
	Audit Audit

	// Checks are more that /readyz asks than the store. Default: none.
	Checks []healthz.HealthChecker

	// MaxReads and MaxWrites are how many requests may be in flight, watches not counted; more get 429. Default: 400 and
	// 200.
	MaxReads, MaxWrites int
	// MaxRevisions is the number of revisions kept for each application. Default: 10.
	MaxRevisions int
	// ReadyTimeout is how long readiness waits for the watch cache after the start. Default: 15 seconds.
	ReadyTimeout time.Duration
	// ShutdownDelay is how long the server goes on to serve, no longer ready, after it was told to end: the time that
	// the cluster takes to send requests elsewhere. Default: none.
	ShutdownDelay time.Duration
	// Clock tells the time of generated versions, and when to collect. Default: the real one.
	Clock clock.WithTicker
}

// Delegated is the way to kube-apiserver.
type Delegated struct {
	// Config reaches kube-apiserver.
	Config *rest.Config
	// Kubeconfig is the file that Config was read from. Default: in-cluster configuration.
	Kubeconfig string
}

const (
	defaultMaxRevisions = 10
	defaultReadyTimeout = 15 * time.Second
)

func (c *Config) complete() error {
	switch {
	case c.Store == nil, c.Bindings == nil, c.Claims == nil, c.HeldClaims == nil, c.Teardowns == nil:
		return errors.New("the API server needs a store, bindings, claims and teardowns")
	case c.Listener == nil || c.Certificate == nil:
		return errors.New("the API server needs a listener and a serving certificate")
	case (c.Delegated == nil) == (c.ClientCA == nil):
		return errors.New("the API server authenticates either through kube-apiserver or by client certificates")
	}
	if c.MaxReads <= 0 {
		c.MaxReads = defaultMaxReads
	}
	if c.MaxWrites <= 0 {
		c.MaxWrites = defaultMaxWrites
	}
	if c.MaxRevisions <= 0 {
		c.MaxRevisions = defaultMaxRevisions
	}
	if c.ReadyTimeout <= 0 {
		c.ReadyTimeout = defaultReadyTimeout
	}
	if c.Settled == nil {
		c.Settled = func() bool { return true }
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return c.Audit.validate()
}

// servedStore is the identity of the store, empty while it is not known to be the right one.
func (c *Config) servedStore() string {
	if c.Store.Changed() != nil || !c.Settled() {
		return ""
	}
	return c.Store.Served().Identity
}
