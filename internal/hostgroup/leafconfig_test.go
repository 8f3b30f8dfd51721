package hostgroup

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// authority is a certificate for 127.0.0.1 that is its own authority.
type authority struct {
	pair      tls.Certificate
	cert, key []byte
	pool      *x509.CertPool
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err1 := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	raw, err2 := x509.MarshalECPrivateKey(key)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	a := authority{pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool: x509.NewCertPool(),
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})}
	a.pool.AppendCertsFromPEM(a.cert)
	return a
}

func start(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.NoLog, o.NoSigs = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not start")
	}
	return s
}

// startLeaf runs a NATS server with the configuration of a leaf, and the files that its pod would mount.
func startLeaf(t *testing.T, config string, files map[string]string) *server.Server {
	t.Helper()
	dir := t.TempDir()
	config = strings.ReplaceAll(config, `"`+leafConfigDir+"/", `"`+dir+"/")
	config = strings.ReplaceAll(config, `"`+leafStoreDir+`"`, `"`+filepath.Join(dir, "data")+`"`)
	config = strings.ReplaceAll(config, "127.0.0.1:4222", "127.0.0.1:-1")
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, leafConfigKey)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatalf("NATS does not take the configuration: %v\n%s", err, config)
	}
	return start(t, options)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func connects(s *server.Server, within time.Duration) bool {
	deadline := time.Now().Add(within)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for time.Now().Before(deadline) {
		if s.NumLeafNodes() == 1 {
			return true
		}
		<-ticker.C
	}
	return false
}

// TestLeafConfig_Connects lets real NATS servers judge the configuration: a hub that demands the login, and the leaf.
func TestLeafConfig_Connects(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	seed, public := newSeed(t)
	byCA := &v1alpha1.NATSTLS{CertificateAuthority: &v1alpha1.HubAuthority{ConfigMapName: "ca"}}
	mutual := &v1alpha1.NATSTLS{CertificateAuthority: byCA.CertificateAuthority, CertificateSecret: "own"}
	for name, tc := range map[string]struct {
		login Login
		tls   *v1alpha1.NATSTLS
		ca    authority
		// dead puts a server that does not exist before the hub.
		dead bool
		want bool
	}{
		"user and password":              {Login{User: "u", Password: `p"\@:/ $x`}, mutual, ours, false, true},
		"nkey, second address":           {Login{Seed: []byte(seed)}, mutual, ours, true, true},
		"wrong password":                 {Login{User: "u", Password: "x"}, mutual, ours, false, false},
		"no certificate of its own":      {Login{Seed: []byte(seed)}, byCA, ours, false, false},
		"authority of someone else":      {Login{Seed: []byte(seed)}, mutual, other, false, false},
		"TLS with the authorities known": {Login{Seed: []byte(seed)}, &v1alpha1.NATSTLS{}, ours, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			start(t, &server.Options{Host: "127.0.0.1", Port: -1, LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: port, AuthTimeout: 5,
				TLSTimeout: 5, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ours.pair},
					ClientCAs: ours.pool, ClientAuth: tls.RequireAndVerifyClientCert}},
				Users: []*server.User{{Username: "u", Password: `p"\@:/ $x`}}, Nkeys: []*server.NkeyUser{{Nkey: public}}})
			urls := []string{fmt.Sprintf("nats://127.0.0.1:%d", port)}
			if tc.dead {
				urls = append([]string{"nats://127.0.0.1:1"}, urls...)
			}
			remote, err := remoteConfig(urls, tc.login)
			if err != nil {
				t.Fatal(err)
			}
			spec := v1alpha1.WasmCloudHostConfigSpec{NATS: &v1alpha1.NATS{TLS: tc.tls}}
			config := LeafConfig(&spec, Inputs{LeafURLs: urls, RemoteSecret: "x"})
			for _, secret := range []string{tc.login.Password, seed} {
				if secret != "" && strings.Contains(config, secret) {
					t.Error("the ConfigMap holds the secret")
				}
			}
			leaf := startLeaf(t, config, map[string]string{remoteKey: remote, hubCAFile: string(tc.ca.cert),
				hubCertFile: string(ours.cert), hubKeyFile: string(ours.key)})
			within := 15 * time.Second
			if !tc.want {
				within = 2 * time.Second
			}
			if got := connects(leaf, within); got != tc.want {
				t.Errorf("connected: %v, want %v\n%s", got, tc.want, config)
			}
		})
	}
}
