package apiserver

import (
	"crypto/tls"
	"fmt"
	"sync"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// Certificate is a serving certificate that can be replaced while it is served. It is safe for concurrent use.
type Certificate struct {
	mu        sync.RWMutex
	cert, key []byte
	listeners []dynamiccertificates.Listener
}

var (
	_ dynamiccertificates.CertKeyContentProvider = (*Certificate)(nil)
	_ dynamiccertificates.Notifier               = (*Certificate)(nil)
)

// NewCertificate returns a certificate from PEM.
func NewCertificate(cert, key []byte) (*Certificate, error) {
	c := &Certificate{}
	return c, c.Set(cert, key)
}

// Set replaces the certificate for connections from now on. A pair that can't be used is refused and changes nothing.
func (c *Certificate) Set(cert, key []byte) error {
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return fmt.Errorf("use a new serving certificate: %w", err)
	}
	c.mu.Lock()
	c.cert, c.key = cert, key
	listeners := c.listeners
	c.mu.Unlock()
	for _, l := range listeners {
		l.Enqueue()
	}
	return nil
}

// Name implements dynamiccertificates.CertKeyContentProvider.
func (*Certificate) Name() string { return "serving" }

// CurrentCertKeyContent implements dynamiccertificates.CertKeyContentProvider.
func (c *Certificate) CurrentCertKeyContent() (cert, key []byte) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.cert, c.key
}

// AddListener implements dynamiccertificates.Notifier.
func (c *Certificate) AddListener(l dynamiccertificates.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, l)
}
