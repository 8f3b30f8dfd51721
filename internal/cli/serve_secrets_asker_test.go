package cli

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/natskeys"
)

// chartNATS is a server with the accounts that init makes, at one address, and the operator's credentials folder.
type chartNATS struct {
	t    *testing.T
	keys natskeys.System
	dir  string
	port int
}

func (c *chartNATS) init() {
	c.t.Helper()
	if _, err := c.keys.Complete([]string{"default"}); err != nil {
		c.t.Fatal(err)
	}
}

// mount shows the operator what is in its Secret.
func (c *chartNATS) mount() {
	c.t.Helper()
	for _, name := range []string{"lattice.default.creds", "lattice.default.narrow"} {
		if err := os.WriteFile(filepath.Join(c.dir, name), c.keys.Operator[name], 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// run starts a server that knows the accounts as they are now.
func (c *chartNATS) run() (stop func()) {
	c.t.Helper()
	conf := filepath.Join(c.t.TempDir(), natskeys.AccountsConf)
	if err := os.WriteFile(conf, c.keys.Accounts[natskeys.AccountsConf], 0o600); err != nil {
		c.t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(conf)
	if err != nil {
		c.t.Fatal(err)
	}
	options.Host, options.Port, options.NoLog, options.NoSigs = "127.0.0.1", c.port, true, true
	s, err := server.NewServer(options)
	if err != nil {
		c.t.Fatal(err)
	}
	go s.Start()
	stop = func() { s.Shutdown(); s.WaitForShutdown() }
	c.t.Cleanup(stop)
	if !s.ReadyForConnections(10 * time.Second) {
		c.t.Fatal("the server did not start")
	}
	c.port = s.Addr().(*net.TCPAddr).Port
	return stop
}

// link connects as the operator does.
func (c *chartNATS) link(managed bool) *latticeLink {
	c.t.Helper()
	connector := &natsConnector{name: "test", lattices: []string{"default"},
		config: config.NATS{Address: "nats://127.0.0.1", ClientPort: int32(c.port), Managed: managed, CredentialsDir: c.dir}}
	link, err := connector.lattice(c.t.Context(), "default")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(link.conn.Close)
	return link
}

func (c *chartNATS) doubts(link *latticeLink, want string) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("the doubt is %q", want), func() error {
		if got := link.groupsDoubt(); !link.conn.IsConnected() || got != want {
			return fmt.Errorf("connected: %v, doubt %q", link.conn.IsConnected(), got)
		}
		return nil
	})
}

// TestGroupsDoubt: host groups are believed in the NATS of the release, with a signing key that never signed more than narrow
// rights, as far as the server knows no other.
func TestGroupsDoubt(t *testing.T) {
	c := &chartNATS{t: t, dir: t.TempDir(), port: server.RANDOM_PORT}
	c.init()
	c.keys.Operator["lattice.default.narrow"] = nil // as of an earlier release
	c.mount()
	stop := c.run()
	link := c.link(true)
	c.doubts(link, doubtKey)

	// The key is replaced, and the operator sees it before the server does: credentials of the old key still log in.
	delete(c.keys.Operator, "lattice.default.nk")
	c.init()
	c.mount()
	if got := link.groupsDoubt(); got != doubtKey {
		t.Errorf("doubt %q while the server knows the old key", got)
	}
	stop()
	c.run()
	c.doubts(link, "")
	c.doubts(c.link(false), doubtForeign)
	if got := (&latticeLink{}).groupsDoubt(); got != doubtForeign {
		t.Errorf("of what nothing is known: %q", got)
	}

	// The mark is taken away, and no new connection is needed.
	if err := os.Remove(filepath.Join(c.dir, "lattice.default.narrow")); err != nil {
		t.Fatal(err)
	}
	c.doubts(link, doubtKey)
}

// TestGroupsDoubt_Server: a server that leaves the rights to leaves holds nobody.
func TestGroupsDoubt_Server(t *testing.T) {
	c := &chartNATS{t: t, dir: t.TempDir()}
	c.init()
	c.mount()
	for version, want := range map[string]string{"2.12.6": fmt.Sprintf(doubtServer, "2.12.6"), "2.12.7": ""} {
		c.port = oldServer(t, version)
		c.doubts(c.link(true), want)
	}
}

// oldServer lets anybody in and says that it is of a version.
func oldServer(t *testing.T, version string) (port int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go greet(conn, version)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func greet(conn net.Conn, version string) {
	defer conn.Close()
	_, err := fmt.Fprintf(conn, "INFO {\"server_id\":\"S\",\"version\":%q,\"proto\":1,\"headers\":true,\"max_payload\":1048576,\"nonce\":\"x\"}\r\n", version)
	for lines := bufio.NewScanner(conn); err == nil && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "PING") {
			_, err = conn.Write([]byte("PONG\r\n"))
		}
	}
}

// TestOwnLogin_Errors: a Secret that lost its content does not make the operator nobody.
func TestOwnLogin_Errors(t *testing.T) {
	c := &chartNATS{t: t, dir: t.TempDir(), port: server.RANDOM_PORT}
	c.init()
	c.run()
	for name, content := range map[string][]byte{"empty": {}, "nonsense": []byte("x"), "absent": nil} {
		path := filepath.Join(c.dir, "lattice.default.creds")
		if content == nil {
			_ = os.Remove(path)
		} else if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		connector := &natsConnector{name: "test", lattices: []string{"default"},
			config: config.NATS{Address: "nats://127.0.0.1", ClientPort: int32(c.port), Managed: true, CredentialsDir: c.dir}}
		if link, err := connector.lattice(t.Context(), "default"); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names the file", name, err)
			link.conn.Close()
		}
	}
}
