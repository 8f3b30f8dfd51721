package natskeys_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
)

// strangeLeaf speaks the protocol of leaves with the credentials of a group, and keeps to no rule but its own.
type strangeLeaf struct {
	t    *testing.T
	conn net.Conn
	from *bufio.Reader
}

func (w *system) strange(creds []byte, asHub bool) *strangeLeaf {
	w.t.Helper()
	s, answer := w.greet(creds, asHub)
	if strings.HasPrefix(answer, "-ERR") {
		w.t.Fatalf("the hub refuses the leaf: %s", answer)
	}
	return s
}

// greet logs in and returns the hub's answer.
func (w *system) greet(creds []byte, asHub bool) (s *strangeLeaf, answer string) {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.leaf, "nats://"))
	w.must(err)
	w.t.Cleanup(func() { _ = conn.Close() })
	w.must(conn.SetDeadline(time.Now().Add(20 * time.Second)))
	s = &strangeLeaf{w.t, conn, bufio.NewReader(conn)}
	line, err := s.from.ReadString('\n')
	w.must(err)
	var info struct{ Nonce string }
	w.must(json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info))
	token, err := jwt.ParseDecoratedJWT(creds)
	w.must(err)
	user, err := jwt.ParseDecoratedUserNKey(creds)
	w.must(err)
	signature, err := user.Sign([]byte(info.Nonce))
	w.must(err)
	hello, err := json.Marshal(map[string]any{"version": "2.15.2", "jwt": token, "sig": base64.RawURLEncoding.EncodeToString(signature),
		"server_id": "STRANGE", "name": "strange", "headers": true, "protocol": 1, "is_hub": asHub, "compress_mode": "not supported"})
	w.must(err)
	s.send("CONNECT %s", hello)
	s.send("PING")
	return s, s.until("PONG", "-ERR")
}

func (s *strangeLeaf) send(format string, args ...any) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.conn, format+"\r\n", args...); err != nil {
		s.t.Fatal(err)
	}
}

// until reads up to a line that begins with one of these, or to the end of the connection.
func (s *strangeLeaf) until(beginnings ...string) string {
	for {
		line, err := s.from.ReadString('\n')
		if err != nil {
			return "end of the connection"
		}
		for _, beginning := range beginnings {
			if strings.HasPrefix(line, beginning) {
				return strings.TrimSpace(line)
			}
		}
	}
}

// TestStrangeLeaf: the hub itself holds the rights; it does not rely on the leaf.
func TestStrangeLeaf(t *testing.T) {
	w := newSystem(t)
	creds := w.issue(groupOf("team-a", "hosts.eu", nil))
	heard := make(chan *nats.Msg, 1000)
	for _, subject := range []string{"wasmbus.>", "wasmcloud.>"} {
		_, err := w.operator.ChanSubscribe(subject, heard)
		w.must(err)
	}
	w.must(w.operator.Flush())
	for name, tc := range map[string]struct {
		lines []string
		asHub bool
	}{
		"ask in another's name":      {lines: []string{"LMSG " + getOfB + " _INBOX.x 2\r\n{}"}},
		"ask in nobody's name":       {lines: []string{"LMSG wasmcloud.secrets.v1alpha1.kube.get _INBOX.x 2\r\n{}"}},
		"command":                    {lines: []string{"LMSG " + stopHostB + " 2\r\n{}"}},
		"JetStream without a domain": {lines: []string{"LMSG $JS.API.STREAM.CREATE.x _INBOX.x 2\r\n{}"}},
		"by way of a gateway":        {lines: []string{"LMSG _GR_.abcdef.ghijkl." + stopHostB + " 2\r\n{}"}},
		"a trace to a command":       {lines: []string{"HMSG"}},
		"hear another's requests":    {lines: []string{"LS+ " + getOfB}},
		"as a hub, ask":              {asHub: true, lines: []string{"LMSG " + getOfB + " _INBOX.x 2\r\n{}"}},
		"as a hub, command":          {asHub: true, lines: []string{"LMSG " + stopHostB + " 2\r\n{}"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.strange(creds, tc.asHub)
			for _, line := range tc.lines {
				if line == "HMSG" {
					header := "NATS/1.0\r\nNats-Trace-Dest: " + stopHostB + "\r\n\r\n"
					line = fmt.Sprintf("HMSG wasmbus.evt.default.x %d %d\r\n%s{}", len(header), len(header)+2, header)
				}
				s.send("%s", line)
			}
			s.send("PING")
			want := "-ERR 'Permissions Violation"
			if tc.asHub { // nothing is said to hubs
				want = "PONG"
			}
			if got := s.until("PONG", "-ERR"); !strings.HasPrefix(got, want) {
				t.Errorf("the hub says %q, want %q", got, want)
			}
			w.must(w.operator.Flush())
			for len(heard) > 0 {
				if m := <-heard; !strings.HasPrefix(m.Subject, "wasmbus.evt.") {
					t.Errorf("the operator heard %s", m.Subject)
				}
			}
		})
	}
}

// TestStrangeLeaf_Listening: nor does it send what the group must not hear.
func TestStrangeLeaf_Listening(t *testing.T) {
	w := newSystem(t)
	public := w.serveSecrets()
	b := w.join(groupOf("team-b", "hosts", nil))
	for _, asHub := range []bool{false, true} {
		s := w.strange(w.issue(groupOf("team-a", "hosts.eu", nil)), asHub)
		for _, line := range []string{"LS+ >", "LS+ > wasmcloud.secrets.kube 10", "LS+ wasmcloud.secrets.>", "LS+ wasmcloud.secrets.*.*.v1alpha1.kube.> wasmcloud.secrets.kube 10"} {
			s.send("%s", line)
		}
		s.send("PING")
		if got := s.until("PONG", "-ERR"); got != "PONG" {
			t.Fatal(got)
		}
		for range 50 {
			if answer, err := b.Request(keyOfB, nil, 5*time.Second); err != nil || string(answer.Data) != public {
				t.Fatalf("answer = %v, %v", answer, err)
			}
		}
		w.must(w.operator.Publish("wasmbus.rpc.default.the.end", nil))
		if got := s.until("LMSG wasmcloud", "HMSG wasmcloud", "LMSG wasmbus.rpc.default.the.end"); !strings.HasPrefix(got, "LMSG wasmbus") {
			t.Errorf("as a hub %v: heard %s", asHub, got)
		}
	}
}

// TestClientsRefused: the credentials of hosts are for leaves.
func TestClientsRefused(t *testing.T) {
	w := newSystem(t)
	creds := w.issue(groupOf("team-a", "hosts", nil))
	token, err := jwt.ParseDecoratedJWT(creds)
	w.must(err)
	user, err := jwt.ParseDecoratedUserNKey(creds)
	w.must(err)
	conn, err := nats.Connect(w.client, nats.UserJWT(func() (string, error) { return token, nil }, user.Sign))
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("as a client: %v, want an authorization violation", err)
		conn.Close()
	}
}
