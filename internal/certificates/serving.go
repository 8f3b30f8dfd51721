package certificates

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// How long things live, and when they are renewed: a successor of the authority is trusted from the half of its life on
// and signs from three quarters on, so that whoever was told of the trust bundle has known the new one for a long time.
const (
	AuthorityLife = 2 * 365 * 24 * time.Hour
	ServingLife   = 90 * 24 * time.Hour

	announceAt = 2 // half
	switchAt   = 4 // a quarter is left
	renewAt    = 3 // a third is left
)

// Keys of the Secret that replicas share.
const (
	KeyTrust         = "ca.crt" // every authority to be trusted
	KeyAuthorityCert = "authority.crt"
	KeyAuthorityKey  = "authority.key"
	KeyNextCert      = "next.crt"
	KeyNextKey       = "next.key"
	KeyCert          = "tls.crt"
	KeyKey           = "tls.key"
)

// Serving is the certificate of a server with the authority that signs it. It is a value: Renew makes the next one.
type Serving struct {
	authority *Authority
	next      *Authority // announced, not signing yet
	old       []byte     // trusted still
	pair      Pair
}

// Pair is what the server shows.
func (s *Serving) Pair() Pair { return s.pair }

// Trust is the bundle that clients need (caBundle of an APIService).
func (s *Serving) Trust() []byte {
	trust := bytes.Clone(s.authority.Cert)
	if s.next != nil {
		trust = append(trust, s.next.Cert...)
	}
	return append(trust, s.old...)
}

// Secret is the form in which it is kept.
func (s *Serving) Secret() map[string][]byte {
	data := map[string][]byte{
		KeyTrust: s.Trust(), KeyAuthorityCert: s.authority.Cert, KeyAuthorityKey: s.authority.Key,
		KeyCert: s.pair.Cert, KeyKey: s.pair.Key,
	}
	if s.next != nil {
		data[KeyNextCert], data[KeyNextKey] = s.next.Cert, s.next.Key
	}
	return data
}

// ParseServing reads what Secret wrote. An empty map is an error, too: use Renew(nil, …) to begin.
func ParseServing(data map[string][]byte) (*Serving, error) {
	authority, err := ParseAuthority(Pair{Cert: data[KeyAuthorityCert], Key: data[KeyAuthorityKey]})
	if err != nil {
		return nil, err
	}
	s := &Serving{authority: authority, pair: Pair{Cert: data[KeyCert], Key: data[KeyKey]}}
	if len(data[KeyNextCert]) > 0 {
		if s.next, err = ParseAuthority(Pair{Cert: data[KeyNextCert], Key: data[KeyNextKey]}); err != nil {
			return nil, fmt.Errorf("the next authority: %w", err)
		}
	}
	trust := data[KeyTrust]
	for _, known := range [][]byte{authority.Cert, data[KeyNextCert]} {
		if len(known) > 0 {
			trust = bytes.ReplaceAll(trust, known, nil)
		}
	}
	s.old = trust
	return s, nil
}

// Renew returns what should be served now, and whether it differs from what is; nil makes the first. Hosts are the names
// of the server; another set of names makes another certificate.
func Renew(s *Serving, name string, hosts []string, now time.Time) (renewed *Serving, changed bool, err error) {
	if s == nil || !now.Before(s.authority.cert.NotAfter) {
		s = &Serving{}
		if s.authority, err = NewAuthority(name, now, AuthorityLife); err != nil {
			return nil, false, err
		}
		return s, true, s.sign(hosts, now)
	}
	next := *s
	if left := next.authority.left(now); next.next == nil && left < AuthorityLife/announceAt {
		if next.next, err = NewAuthority(name, now, AuthorityLife); err != nil {
			return nil, false, err
		}
		changed = true
	} else if next.next != nil && left < AuthorityLife/switchAt {
		next.old, next.authority, next.next = next.authority.Cert, next.next, nil
		changed = true
	}
	if next.fits(hosts, now) {
		return &next, changed, nil
	}
	return &next, true, next.sign(hosts, now)
}

func (a *Authority) left(now time.Time) time.Duration { return a.cert.NotAfter.Sub(now) }

func (s *Serving) sign(hosts []string, now time.Time) (err error) {
	s.pair, err = s.authority.Serving(hosts, now, ServingLife)
	return err
}

// fits says whether the certificate can stay: signed by the authority, for these names, with a third of its life left.
func (s *Serving) fits(hosts []string, now time.Time) bool {
	cert, err := parseCert(s.pair.Cert)
	if err != nil || cert.NotAfter.Sub(now) < ServingLife/renewAt {
		return false
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.authority.cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); err != nil {
		return false
	}
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	wanted := slices.Clone(hosts)
	slices.Sort(names)
	slices.Sort(wanted)
	return slices.Equal(names, wanted)
}
