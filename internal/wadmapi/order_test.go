package wadmapi_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/wadmapi"
)

// TestOrder: a client that sends all its requests for an application without waiting for an answer gets the answers that
// it would get one by one, although many applications are worked on side by side.
func TestOrder(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	api.onFind = func() { time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) } // requests take differently long
	steps := []struct{ operation, body, result string }{
		{"put", "v1", "created"}, {"deploy", "", "acknowledged"}, {"put", "v2", "newversion"}, {"deploy", `{"version":"v2"}`, "acknowledged"},
		{"undeploy", "", "acknowledged"}, {"del", `{"version":"v1"}`, "deleted"}, {"get", "", "success"}, {"del", "", "deleted"}, {"get", "", "notfound"},
	}
	inbox := nats.NewInbox()
	replies, err := w.conn.SubscribeSync(inbox + ".>")
	if err != nil {
		t.Fatal(err)
	}
	const applications = 20
	for _, step := range steps { // in turn, so that each lane always has others beside it
		for n := range applications {
			name := fmt.Sprintf("app%d", n)
			tail, body := step.operation+"."+name, step.body
			if step.operation == "put" {
				tail, body = "put", app(name, step.body, "i:"+step.body)
			}
			if err := w.conn.PublishRequest("wadm.api.default.model."+tail, fmt.Sprintf("%s.%s.%s", inbox, name, step.result), []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := map[string]int{}
	for range applications * len(steps) {
		msg, err := replies.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(strings.TrimPrefix(msg.Subject, inbox+"."), ".")
		step := steps[next[parts[0]]]
		next[parts[0]]++
		if got := parse(t, msg.Data).(map[string]any)["result"]; parts[1] != step.result || got != step.result {
			t.Errorf("%s: the answer to %s is %s", parts[0], step.operation, msg.Data)
		}
	}
}

// TestTooManyRequests: those that wait are answered, one more is refused at once instead of being lost.
func TestTooManyRequests(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	gate := make(chan struct{})
	api.onFind = func() { <-gate }
	const limit, more = 1024, 10
	inbox := nats.NewInbox()
	replies, err := w.conn.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	for n := range limit + more {
		if err := w.conn.PublishRequest(fmt.Sprintf("wadm.api.default.model.status.app%d", n), inbox, nil); err != nil {
			t.Fatal(err)
		}
	}
	for n := range limit + more {
		msg, err := replies.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		refused := strings.Contains(string(msg.Data), "Too many requests wait for Trellis")
		if refused != (n < more) {
			t.Fatalf("answer %d is %s", n, msg.Data)
		}
		if n == more-1 {
			close(gate)
		}
	}
}

// TestFault: a request that meets a fault gets an error, and the ones after it their answers.
func TestFault(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	api.onFind = func() { panic("a fault") }
	for range 20 { // more than are handled at once: each gives its place back
		want(t, w.ask("model.status.shop", "", ""), reply("error", "Internal storage error"))
	}
	api.onFind = nil
	want(t, w.ask("model.status.shop", "", ""), map[string]any{"result": "ok"})
}

// TestHandOver: replicas come and go under load, and no request is without an answer.
func TestHandOver(t *testing.T) {
	w := start(t, newFakeAPI())
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for n := range 4 {
		conn := connect(t, w.url)
		clients.Go(func() {
			for ctx.Err() == nil {
				if _, err := conn.Request(fmt.Sprintf("wadm.api.default.model.status.app%d", n), nil, 5*time.Second); err != nil {
					t.Errorf("a request was lost: %v", err)
				}
			}
		})
	}
	for range 8 {
		replica, end := context.WithCancel(ctx)
		states, done := make(chan wadmapi.State, 8), make(chan error, 1)
		srv, err := wadmapi.New(wadmapi.Config{
			Conn: w.conn, Lattice: "default", Version: "v0-test", Applications: w.api, Revisions: w.api, Homes: w.api,
			OnState: func(s wadmapi.State) { states <- s },
		})
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- srv.Run(replica) }()
		if s := next(t, states); !s.Serving {
			t.Fatalf("the replica: %+v", s)
		}
		end()
		if err := <-done; err != nil {
			t.Errorf("the replica ended with: %v", err)
		}
	}
	cancel()
	clients.Wait()
}

// TestAccount: a multitenant subject leads to the same applications, that of another account to nobody.
func TestAccount(t *testing.T) {
	w := start(t, newFakeAPI())
	states := make(chan wadmapi.State, 8)
	w.serveAs(t.Context(), "Aone", func(s wadmapi.State) { states <- s })
	if s := next(t, states); !s.Serving {
		t.Fatalf("the server of account Aone: %+v", s)
	}
	msg, err := w.conn.Request("Aone.wadm.api.default.model.put", []byte(app("shop", "v1", "i")), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want(t, parse(t, msg.Data), map[string]any{"result": "created", "name": "shop"})
	want(t, w.ask("model.get.shop", "", ""), map[string]any{"result": "success"})
	if msg, err = w.conn.Request("Aone.wadm.api.default.model", nil, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	want(t, parse(t, msg.Data), reply("error", "Invalid subject: Expected to find operation"))
	if _, err := w.conn.Request("Atwo.wadm.api.default.model.list", nil, 5*time.Second); err != nats.ErrNoResponders {
		t.Errorf("another account: %v", err)
	}
}

// TestAccount_WadmRuns: a wadm that serves the account's subjects alone is seen too.
func TestAccount_WadmRuns(t *testing.T) {
	w := start(t, newFakeAPI())
	old := connect(t, w.url)
	if _, err := old.QueueSubscribe("*.wadm.api.>", "wadm_server", func(m *nats.Msg) { _ = m.Respond([]byte("[]")) }); err != nil {
		t.Fatal(err)
	}
	if err := old.Flush(); err != nil {
		t.Fatal(err)
	}
	states := make(chan wadmapi.State, 8)
	w.serveAs(t.Context(), "Aone", func(s wadmapi.State) { states <- s })
	if s := next(t, states); !s.WadmRunning {
		t.Errorf("beside a multitenant wadm: %+v", s)
	}
}
