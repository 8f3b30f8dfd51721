package certs

import (
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newStore(t *testing.T) Store { return Store{Folder: t.TempDir(), Now: time.Now} }

func TestEnsure_Server(t *testing.T) {
	store := newStore(t)
	ca, err := store.EnsureCA("ca")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := store.Ensure("server", ca, Request{Name: "server", Hosts: []string{"example.test", "10.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	for _, host := range []string{"example.test", "10.0.0.1"} {
		if _, err := pair.Certificate.Verify(x509.VerifyOptions{DNSName: host, Roots: roots}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := pair.Certificate.Verify(x509.VerifyOptions{DNSName: "other.test", Roots: roots}); err == nil {
		t.Error("the certificate is good for a host that was not asked for")
	}
	client := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := pair.Certificate.Verify(client); err == nil {
		t.Error("a server's certificate is good for a client")
	}
}

func TestEnsure_Client(t *testing.T) {
	store := newStore(t)
	ca, err := store.EnsureCA("ca")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := store.Ensure("user", ca, Request{Name: "jane", Groups: []string{"developers"}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	subject := pair.Certificate.Subject
	if diff := cmp.Diff([]string{"jane", "developers"}, append([]string{subject.CommonName}, subject.Organization...)); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(store.KeyFile("user")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
}

func TestEnsure_KeepsAndRenews(t *testing.T) {
	store := newStore(t)
	ca, err := store.EnsureCA("ca")
	if err != nil {
		t.Fatal(err)
	}
	request := Request{Name: "jane", Client: true}
	first, err := store.Ensure("user", ca, request)
	if err != nil {
		t.Fatal(err)
	}
	second, err := store.Ensure("user", ca, request)
	if err != nil || !first.Certificate.Equal(second.Certificate) {
		t.Errorf("a second Ensure made another certificate (%v)", err)
	}
	other, err := NewCA("other", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	third, err := store.Ensure("user", other, request)
	if err != nil || third.Certificate.CheckSignatureFrom(other.Certificate) != nil {
		t.Errorf("the certificate of another authority was kept (%v)", err)
	}
	// A crash between key and certificate: they do not fit, both are renewed.
	if err := os.Rename(store.KeyFile("ca"), store.KeyFile("user")); err != nil {
		t.Fatal(err)
	}
	if fourth, err := store.Ensure("user", other, request); err != nil || fourth.Certificate.Equal(third.Certificate) {
		t.Errorf("a certificate without its key was kept (%v)", err)
	}
}
