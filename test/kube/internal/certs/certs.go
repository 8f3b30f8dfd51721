// Package certs makes the keys and certificates of a cluster. They are made
// once, kept in a folder, and never leave the machine.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// lifetime is longer than any local cluster lives: nothing here is renewed.
const lifetime = 10 * 365 * 24 * time.Hour

// Pair is a certificate with its key.
type Pair struct {
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey
}

// Request says what a certificate is for.
type Request struct {
	// Name is the common name: the user, for a client certificate.
	Name string
	// Groups are the organizations: the user's groups.
	Groups []string
	// Hosts are DNS names and IP addresses; with any, it is a server's.
	Hosts []string
	// Client makes it a client's too.
	Client bool
}

// NewCA makes a self-signed authority.
func NewCA(name string, now time.Time) (Pair, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
	}
	return sign(template, nil, now)
}

// Issue makes a certificate signed by the authority.
func (ca Pair) Issue(request Request, now time.Time) (Pair, error) {
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: request.Name, Organization: request.Groups},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	if request.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if len(request.Hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range request.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	return sign(template, &ca, now)
}

func sign(template *x509.Certificate, parent *Pair, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Pair{}, err
	}
	template.SerialNumber = serial
	// An hour of slack, for machines whose clock was set back after boot.
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(lifetime)
	issuer, issuerKey := template, key
	if parent != nil {
		issuer, issuerKey = parent.Certificate, parent.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		return Pair{}, fmt.Errorf("the certificate for %q cannot be made: %w", template.Subject.CommonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	return Pair{Certificate: certificate, Key: key}, err
}
