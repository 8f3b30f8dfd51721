package certificates

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

const host = "trellis.wasmcloud.svc"

// verify fails unless a client with this trust bundle accepts the server.
func verify(t *testing.T, trust []byte, p Pair, now time.Time) {
	t.Helper()
	if _, err := tls.X509KeyPair(p.Cert, p.Key); err != nil {
		t.Fatalf("certificate and key: %v", err)
	}
	cert, err := parseCert(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trust)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now}); err != nil {
		t.Fatalf("at %s: %v", now, err)
	}
}

// Over ten years, looked at once a day and kept as a Secret in between, the server is always accepted by a client that
// learns of a new trust bundle a whole day late.
func TestRenew_OverTheYears(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var s *Serving
	var yesterday []byte
	changes := 0
	for range 3650 {
		next, changed, err := Renew(s, "trellis", []string{host, "10.0.0.1"}, now)
		if err != nil {
			t.Fatal(err)
		}
		if changed {
			changes++
		}
		if yesterday == nil {
			yesterday = next.Trust()
		}
		verify(t, yesterday, next.Pair(), now)
		verify(t, next.Trust(), next.Pair(), now)
		yesterday = next.Trust()
		if s, err = ParseServing(next.Secret()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Trust(), next.Trust()) {
			t.Fatal("the trust bundle changes when it is kept and read")
		}
		now = now.Add(24 * time.Hour)
	}
	if changes < 40 || changes > 120 {
		t.Errorf("%d changes in ten years; expected about one in two months", changes)
	}
}

func TestRenew_KeepsWhatFits(t *testing.T) {
	now := time.Now()
	first, _, err := Renew(nil, "trellis", []string{host}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, changed, err := Renew(first, "trellis", []string{host}, now.Add(time.Hour)); err != nil || changed {
		t.Errorf("an hour later: changed %v, error %v", changed, err)
	}
	other, changed, err := Renew(first, "trellis", []string{host, "other.svc"}, now)
	if err != nil || !changed {
		t.Fatalf("with another name: changed %v, error %v", changed, err)
	}
	if !bytes.Equal(first.Trust(), other.Trust()) {
		t.Error("another name changes the authority")
	}
}

func TestParse_Errors(t *testing.T) {
	s, _, err := Renew(nil, "trellis", []string{host}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := NewAuthority("stranger", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string][]byte){
		"empty":           func(m map[string][]byte) { clear(m) },
		"no key":          func(m map[string][]byte) { delete(m, KeyAuthorityKey) },
		"key of another":  func(m map[string][]byte) { m[KeyAuthorityKey] = stranger.Key },
		"garbage":         func(m map[string][]byte) { m[KeyAuthorityCert] = []byte("garbage") },
		"no authority":    func(m map[string][]byte) { m[KeyAuthorityCert], m[KeyAuthorityKey] = m[KeyCert], m[KeyKey] },
		"half a next one": func(m map[string][]byte) { m[KeyNextCert] = stranger.Cert },
	} {
		t.Run(name, func(t *testing.T) {
			data := s.Secret()
			change(data)
			if _, err := ParseServing(data); err == nil {
				t.Error("no error")
			}
		})
	}
}
