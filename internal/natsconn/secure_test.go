package natsconn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/natsconn"
)

// runServer runs a server of the test's own making on a free port.
func runServer(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(5 * time.Second) {
		t.Fatal("the server did not start")
	}
	return s.ClientURL()
}

func TestTLS(t *testing.T) {
	cert, caFile := selfSigned(t)
	url := runServer(t, &server.Options{TLS: true, TLSTimeout: 5, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, CAFile: caFile})
	if err != nil {
		t.Fatal(err)
	}
	if !conn.TLSRequired() {
		t.Error("the connection is not encrypted")
	}
	conn.Close()
	if conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}}); err == nil {
		conn.Close()
		t.Error("a server with an unknown certificate was trusted")
	}
}

// TestCredsFile logs in with a user JWT, and not with that of another operator.
func TestCredsFile(t *testing.T) {
	operator := newKey(t, nkeys.CreateOperator)
	account, creds := newUser(t, operator)
	claims := jwt.NewOperatorClaims(publicKey(t, operator))
	token, err := claims.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jwt.DecodeOperatorClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(account.public, account.token); err != nil {
		t.Fatal(err)
	}
	url := runServer(t, &server.Options{TrustedOperators: []*jwt.OperatorClaims{decoded}, AccountResolver: resolver})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, CredsFile: creds})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	content, err := os.ReadFile(creds)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, Creds: content}); err != nil {
		t.Fatalf("the same credentials without a file: %v", err)
	}
	conn.Close()
	_, foreign := newUser(t, newKey(t, nkeys.CreateOperator))
	if _, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, CredsFile: foreign}); !errors.Is(err, natsconn.ErrRefused) {
		t.Errorf("credentials of another operator: %v", err)
	}
}

// storedAccount is an account as a resolver keeps it.
type storedAccount struct{ public, token string }

// newUser makes an account and a user within it, and writes the user's .creds file.
func newUser(t *testing.T, operator nkeys.KeyPair) (storedAccount, string) {
	t.Helper()
	account, user := newKey(t, nkeys.CreateAccount), newKey(t, nkeys.CreateUser)
	accountJWT, err1 := jwt.NewAccountClaims(publicKey(t, account)).Encode(operator)
	userJWT, err2 := jwt.NewUserClaims(publicKey(t, user)).Encode(account)
	seed, err3 := user.Seed()
	file, err4 := jwt.FormatUserConfig(userJWT, seed)
	path := filepath.Join(t.TempDir(), "user.creds")
	if err := errors.Join(err1, err2, err3, err4, os.WriteFile(path, file, 0o600)); err != nil {
		t.Fatal(err)
	}
	return storedAccount{publicKey(t, account), accountJWT}, path
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	k, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publicKey(t *testing.T, k nkeys.KeyPair) string {
	t.Helper()
	public, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// selfSigned makes a certificate for 127.0.0.1 that is its own authority, and a file with it.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}
