package natsconn_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
)

func TestConnect(t *testing.T) {
	s := natsd.Run(t, natsd.Options{})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{s.ClientURL()}, Name: "test", InboxPrefix: "_MINE"})
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.NewRespInbox(); !strings.HasPrefix(got, "_MINE.") {
		t.Errorf("inbox %q ignores the prefix", got)
	}
	if conn.Opts.ReconnectBufSize != -1 || conn.Opts.MaxReconnect != -1 {
		t.Errorf("buffer %d, reconnects %d; want -1 and -1", conn.Opts.ReconnectBufSize, conn.Opts.MaxReconnect)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := natsconn.Drain(ctx, conn); err != nil {
		t.Fatal(err)
	}
	if !conn.IsClosed() {
		t.Error("the connection is open after Drain")
	}
	if err := natsconn.Drain(ctx, conn); err != nil {
		t.Errorf("a second Drain: %v", err)
	}
}

// TestReconnect: while the server is away a publish fails at once and is never sent later; then the connection is back
// by itself.
func TestReconnect(t *testing.T) {
	port := freePort(t)
	first := natsd.Run(t, natsd.Options{Port: port})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{first.ClientURL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sub, err := conn.SubscribeSync("news")
	if err != nil {
		t.Fatal(err)
	}
	first.Shutdown()
	waitFor(t, "the loss is noticed", func() bool { return !conn.IsConnected() })
	if err := conn.Publish("news", []byte("lost")); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("publish while disconnected: %v", err)
	}
	natsd.Run(t, natsd.Options{Port: port})
	waitFor(t, "the connection is back", conn.IsConnected)
	waitFor(t, "a publish is accepted", func() bool { return conn.Publish("news", []byte("new")) == nil })
	msg, err := sub.NextMsg(5 * time.Second)
	if err != nil || string(msg.Data) != "new" {
		t.Errorf("got %v, %v; want the message sent after the reconnect", msg, err)
	}
}

func TestRetryFirst(t *testing.T) {
	port := freePort(t)
	url := "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, RetryFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	natsd.Run(t, natsd.Options{Port: port})
	waitFor(t, "the connection comes up", conn.IsConnected)
}

func TestUserAndToken(t *testing.T) {
	url := runServer(t, &server.Options{Users: []*server.User{{Username: "trellis", Password: "s3cret-word"}}})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, User: "trellis", Password: "s3cret-word"})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	_, err = natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, User: "trellis", Password: "wrong-word"})
	if !errors.Is(err, natsconn.ErrRefused) || strings.Contains(err.Error(), "wrong-word") || !strings.Contains(err.Error(), `"trellis"`) {
		t.Errorf("wrong password: %v", err)
	}
	_, err = natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}})
	if !errors.Is(err, natsconn.ErrRefused) || !strings.Contains(err.Error(), "as nobody") {
		t.Errorf("no credentials: %v", err)
	}
}

func TestToken(t *testing.T) {
	url := runServer(t, &server.Options{Authorization: "t0ken-word"})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, Token: "t0ken-word"})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	_, err = natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, Token: "other-word"})
	if !errors.Is(err, natsconn.ErrRefused) || strings.Contains(err.Error(), "other-word") {
		t.Errorf("wrong token: %v", err)
	}
}

func TestConnect_Errors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "there")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	here := []string{"nats://127.0.0.1:1"}
	for name, c := range map[string]struct {
		config natsconn.Config
		want   error
		text   string
	}{
		"no address":          {natsconn.Config{}, natsconn.ErrConfig, "no address is given"},
		"password in address": {natsconn.Config{URLs: []string{"nats://me:hidden@host:4222"}}, natsconn.ErrConfig, "holds credentials"},
		"scheme":              {natsconn.Config{URLs: []string{"http://host:4222"}}, natsconn.ErrConfig, `scheme "http"`},
		"nonsense":            {natsconn.Config{URLs: []string{"nats://"}}, natsconn.ErrConfig, "nats://host:port"},
		"two logins":          {natsconn.Config{URLs: here, User: "u", CredsFile: file}, natsconn.ErrConfig, "not several"},
		"two credentials":     {natsconn.Config{URLs: here, Creds: []byte("c"), CredsFile: file}, natsconn.ErrConfig, "not several"},
		"no creds file":       {natsconn.Config{URLs: here, CredsFile: filepath.Join(dir, "gone")}, natsconn.ErrConfig, "gone"},
		"half a certificate":  {natsconn.Config{URLs: here, CertFile: file}, natsconn.ErrConfig, "key file"},
		"nobody there":        {natsconn.Config{URLs: here}, natsconn.ErrUnreachable, "is it running"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := natsconn.Connect(t.Context(), c.config)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v; want %v with %q", err, c.want, c.text)
			}
			if err != nil && strings.Contains(err.Error(), "hidden") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 15 s: %s", what)
		case <-tick.C:
		}
	}
}
