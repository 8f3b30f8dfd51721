package wadmapi_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

func connect(t *testing.T, url string) *nats.Conn {
	t.Helper()
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// wash is a client of a running server.
type wash struct {
	t    *testing.T
	conn *nats.Conn
	url  string
	api  *fakeAPI
	srv  *wadmapi.Server
}

// start runs a server for lattice default and returns when it answers.
func start(t *testing.T, api *fakeAPI) *wash {
	t.Helper()
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	w := &wash{t: t, conn: connect(t, url), url: url, api: api}
	states := make(chan wadmapi.State, 8)
	w.srv = w.serve(t.Context(), func(s wadmapi.State) { states <- s })
	select {
	case s := <-states:
		if !s.Serving {
			t.Fatalf("the server does not serve: %s", s.Message)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not start")
	}
	if err := w.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return w
}

// serve runs one more server; it ends with the test.
func (w *wash) serve(ctx context.Context, onState func(wadmapi.State)) *wadmapi.Server {
	w.t.Helper()
	return w.serveAs(ctx, "", onState)
}

// serveAs is serve with the subjects of an account beside the plain ones.
func (w *wash) serveAs(ctx context.Context, account string, onState func(wadmapi.State)) *wadmapi.Server {
	w.t.Helper()
	conn := connect(w.t, w.url)
	srv, err := wadmapi.New(wadmapi.Config{
		Conn: conn, Lattice: "default", Version: "v0-test", Applications: w.api, Revisions: w.api, Homes: w.api,
		Account: account, OnState: onState, AskAgain: 50 * time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the server ended with: %v", err)
		}
	})
	return srv
}

// ask sends a request and returns the reply as plain JSON values.
func (w *wash) ask(tail, contentType, body string) any {
	w.t.Helper()
	msg := nats.NewMsg("wadm.api.default." + tail)
	msg.Data = []byte(body)
	if contentType != "" {
		msg.Header.Set("Content-Type", contentType)
	}
	reply, err := w.conn.RequestMsg(msg, 10*time.Second)
	if err != nil {
		w.t.Fatalf("%s: %v", tail, err)
	}
	if got := reply.Header.Get("Trellis-Version"); got != "v0-test" {
		w.t.Errorf("%s: header Trellis-Version is %q", tail, got)
	}
	return parse(w.t, reply.Data)
}

func parse(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, data)
	}
	return v
}
