package certs

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Store is a folder of certificates: NAME.crt beside NAME.key.
type Store struct {
	Folder string
	Now    func() time.Time
}

// CertFile is the path of a certificate.
func (s Store) CertFile(name string) string { return filepath.Join(s.Folder, name+".crt") }

// KeyFile is the path of a private key.
func (s Store) KeyFile(name string) string { return filepath.Join(s.Folder, name+".key") }

// EnsureCA returns the authority kept under that name, making it first if it
// is not there.
func (s Store) EnsureCA(name string) (Pair, error) {
	return s.ensure(name, func(Pair) bool { return true }, func() (Pair, error) { return NewCA("trellis-"+name, s.Now()) })
}

// Ensure returns the certificate kept under that name. It is made when it is
// not there, and made again when another authority signed what is there.
func (s Store) Ensure(name string, ca Pair, request Request) (Pair, error) {
	signedByCA := func(pair Pair) bool { return pair.Certificate.CheckSignatureFrom(ca.Certificate) == nil }
	return s.ensure(name, signedByCA, func() (Pair, error) { return ca.Issue(request, s.Now()) })
}

func (s Store) ensure(name string, good func(Pair) bool, make func() (Pair, error)) (Pair, error) {
	if pair, err := s.load(name); err == nil && good(pair) {
		return pair, nil
	}
	pair, err := make()
	if err != nil {
		return Pair{}, err
	}
	return pair, s.save(name, pair)
}

func (s Store) load(name string) (Pair, error) {
	certificate, err := readPEM(s.CertFile(name))
	if err != nil {
		return Pair{}, err
	}
	key, err := readPEM(s.KeyFile(name))
	if err != nil {
		return Pair{}, err
	}
	var pair Pair
	if pair.Certificate, err = x509.ParseCertificate(certificate); err != nil {
		return Pair{}, err
	}
	if pair.Key, err = x509.ParseECPrivateKey(key); err != nil {
		return Pair{}, err
	}
	if !pair.Key.PublicKey.Equal(pair.Certificate.PublicKey.(*ecdsa.PublicKey)) {
		return Pair{}, errors.New("key and certificate do not belong together")
	}
	return pair, nil
}

func (s Store) save(name string, pair Pair) error {
	if err := os.MkdirAll(s.Folder, 0o700); err != nil {
		return err
	}
	key, err := x509.MarshalECPrivateKey(pair.Key)
	if err != nil {
		return err
	}
	// The key first: a crash in between leaves no certificate without its key.
	if err := writePEM(s.KeyFile(name), "EC PRIVATE KEY", key); err != nil {
		return err
	}
	return writePEM(s.CertFile(name), "CERTIFICATE", pair.Certificate.Raw)
}

// EncodeCert returns the certificate as PEM.
func (p Pair) EncodeCert() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate.Raw})
}

// EncodeKey returns the private key as PEM.
func (p Pair) EncodeKey() ([]byte, error) {
	key, err := x509.MarshalECPrivateKey(p.Key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}), err
}

func writePEM(path, kind string, der []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("a certificate cannot be written: %w", err)
	}
	return os.Rename(temporary, path)
}

func readPEM(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", path)
	}
	return block.Bytes, nil
}
