package control_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/natsconn"
)

// guarded is a server with one user.
func guarded(t *testing.T, port int, password string) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, Username: "hosts", Password: password, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

// A login that is taken away is told apart from a server that is away.
func TestALoginThatIsRevoked(t *testing.T) {
	port := freePort(t)
	first := guarded(t, port, "one")
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{fmt.Sprintf("nats://127.0.0.1:%d", port)}, User: "hosts", Password: "one"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	c, err := control.New(conn, "default", control.Options{Window: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	await := func(what string, right func(error) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			_, err := c.Ping(t.Context())
			if right(err) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", what, err)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	await("there", func(err error) bool { return err == nil })
	first.Shutdown()
	first.WaitForShutdown()
	await("away", func(err error) bool {
		return errors.Is(err, control.ErrDisconnected) && !errors.Is(err, control.ErrLoginRefused)
	})
	second := guarded(t, port, "two")
	await("refused", func(err error) bool {
		return errors.Is(err, control.ErrLoginRefused) && errors.Is(err, control.ErrDisconnected)
	})
	second.Shutdown()
	second.WaitForShutdown()
	guarded(t, port, "one")
	await("back", func(err error) bool { return err == nil })
}
