package natsconn_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/natsconn"
)

func given(s natsconn.Secrets) func() (natsconn.Secrets, error) {
	return func() (natsconn.Secrets, error) { return s, nil }
}

func TestSecrets(t *testing.T) {
	user := newKey(t, nkeys.CreateUser)
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newKey(t, nkeys.CreateUser).Seed()
	if err != nil {
		t.Fatal(err)
	}
	url := runServer(t, &server.Options{
		Users: []*server.User{{Username: "u", Password: "p@:/"}}, Nkeys: []*server.NkeyUser{{Nkey: publicKey(t, user)}},
	})
	for name, tc := range map[string]struct {
		secrets natsconn.Secrets
		want    error
	}{
		"user":               {natsconn.Secrets{User: "u", Password: "p@:/"}, nil},
		"wrong password":     {natsconn.Secrets{User: "u", Password: "x"}, natsconn.ErrRefused},
		"nkey":               {natsconn.Secrets{Seed: seed}, nil},
		"nkey of a stranger": {natsconn.Secrets{Seed: stranger}, natsconn.ErrRefused},
		"no nkey":            {natsconn.Secrets{Seed: []byte("SUX")}, natsconn.ErrConfig},
		"nobody":             {natsconn.Secrets{}, natsconn.ErrRefused},
		"broken authority":   {natsconn.Secrets{User: "u", Password: "p@:/", CA: []byte("x")}, natsconn.ErrConfig},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, Secrets: given(tc.secrets)})
			if err == nil {
				conn.Close()
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("error = %v, want %v", err, tc.want)
			}
		})
	}
	both := natsconn.Config{URLs: []string{url}, User: "u", Secrets: given(natsconn.Secrets{})}
	if _, err := natsconn.Connect(t.Context(), both); !errors.Is(err, natsconn.ErrConfig) {
		t.Errorf("two ways to log in: %v", err)
	}
}

// TestSecretsAreReadAgain: a password that changes in the server and in the Secret needs no new connection.
func TestSecretsAreReadAgain(t *testing.T) {
	password := make(chan string, 1)
	password <- "old"
	read := func() (natsconn.Secrets, error) {
		now := <-password
		password <- now
		return natsconn.Secrets{User: "u", Password: now}, nil
	}
	port := freePort(t)
	start := func(password string) *server.Server {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, Username: "u", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		go s.Start()
		if !s.ReadyForConnections(5 * time.Second) {
			t.Fatal("the server did not start")
		}
		return s
	}
	first := start("old")
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{first.ClientURL()}, Secrets: read})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	first.Shutdown()
	first.WaitForShutdown()
	<-password
	password <- "new"
	second := start("new")
	defer second.Shutdown()
	deadline := time.Now().Add(10 * time.Second)
	for !conn.IsConnected() {
		if time.Now().After(deadline) {
			t.Fatalf("not connected again: %v", conn.LastError())
		}
		<-time.After(20 * time.Millisecond)
	}
}

// TestSecretsTLS: the server wants a certificate of the client, and ours is checked against an authority from memory.
func TestSecretsTLS(t *testing.T) {
	cert, caFile := selfSigned(t)
	ca, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	url := runServer(t, &server.Options{TLS: true, TLSVerify: true, TLSTimeout: 5, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, ClientCAs: pool, ClientAuth: tls.RequireAnyClientCert}})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, TLS: true, Secrets: given(natsconn.Secrets{CA: ca, Cert: ca, Key: key})})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for name, s := range map[string]natsconn.Secrets{"no certificate": {CA: ca}, "no authority": {Cert: ca, Key: key}} {
		if conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, TLS: true, Secrets: given(s)}); err == nil {
			conn.Close()
			t.Errorf("%s: connected", name)
		}
	}
	if _, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, Secrets: given(natsconn.Secrets{CA: ca, Cert: ca, Key: []byte("x")})}); !errors.Is(err, natsconn.ErrConfig) {
		t.Errorf("a key that is none: %v", err)
	}
}
