package wadmapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

func next(t *testing.T, states <-chan wadmapi.State) wadmapi.State {
	t.Helper()
	select {
	case s := <-states:
		return s
	case <-time.After(15 * time.Second):
		t.Fatal("no new state within 15 s")
		return wadmapi.State{}
	}
}

// TestTakeOver: nothing is answered while something else answers; when it is gone, Trellis answers.
func TestTakeOver(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	w := &wash{t: t, conn: connect(t, url), url: url, api: newFakeAPI()}
	old := connect(t, url)
	if _, err := old.QueueSubscribe("wadm.api.>", "wadm_server", func(m *nats.Msg) { _ = m.Respond([]byte("[]")) }); err != nil {
		t.Fatal(err)
	}
	if err := old.Flush(); err != nil {
		t.Fatal(err)
	}
	states := make(chan wadmapi.State, 8)
	w.serve(t.Context(), func(s wadmapi.State) { states <- s })
	if s := next(t, states); !s.WadmRunning || s.Serving || s.Lattice != "default" {
		t.Errorf("while wadm runs: %+v", s)
	}
	replies := w.gather(t, "wadm.api.default.model.list")
	if len(replies) != 1 || replies[0].Header.Get("Trellis-Version") != "" {
		t.Errorf("%d replies while wadm runs", len(replies))
	}
	old.Close()
	if s := next(t, states); !s.Serving || s.WadmRunning {
		t.Errorf("after wadm ended: %+v", s)
	}
	w.ask("model.list", "", "")
}

// TestPrepare: nothing is prepared while wadm runs, and nothing answered before all is prepared, however often it fails.
func TestPrepare(t *testing.T) {
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	w := &wash{t: t, conn: connect(t, url), url: url, api: newFakeAPI()}
	old := connect(t, url)
	asked := make(chan struct{}, 100)
	if _, err := old.QueueSubscribe("wadm.api.>", "wadm_server", func(m *nats.Msg) { _ = m.Respond([]byte("[]")); asked <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	if err := old.Flush(); err != nil {
		t.Fatal(err)
	}
	var gone atomic.Bool
	tries := make(chan struct{}, 100)
	states := make(chan wadmapi.State, 8)
	srv, err := wadmapi.New(wadmapi.Config{
		Conn: connect(t, url), Lattice: "default", Version: "v0-test", Applications: w.api, Revisions: w.api, Homes: w.api,
		OnState: func(s wadmapi.State) { states <- s }, AskAgain: 20 * time.Millisecond,
		Prepare: func(context.Context) error {
			if !gone.Load() {
				t.Error("something is prepared while wadm runs")
			}
			if len(tries) == 2 {
				return nil
			}
			tries <- struct{}{}
			return errors.New("not yet")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	if s := next(t, states); !s.WadmRunning {
		t.Errorf("while wadm runs: %+v", s)
	}
	for range 3 {
		<-asked
	}
	gone.Store(true)
	old.Close()
	if s := next(t, states); s.Serving || s.WadmRunning || s.Message != "The lattice is not served yet: not yet" {
		t.Errorf("while preparations fail: %+v", s)
	}
	if s := next(t, states); !s.Serving || len(tries) != 2 {
		t.Errorf("after %d failures: %+v", len(tries), s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestWhoAnswers: nobody, wadm, Trellis.
func TestWhoAnswers(t *testing.T) {
	w := start(t, newFakeAPI())
	old := connect(t, w.url)
	if _, err := old.QueueSubscribe("wadm.api.old.>", "wadm_server", func(m *nats.Msg) { _ = m.Respond([]byte("[]")) }); err != nil {
		t.Fatal(err)
	}
	if err := old.Flush(); err != nil {
		t.Fatal(err)
	}
	for lattice, want := range map[string]string{
		"default": "by Trellis v0-test", "old": "by wadm: stop it, and Trellis takes over",
		"none": "by nobody: no replica of Trellis answers, and no wadm",
	} {
		if got, err := wadmapi.WhoAnswers(t.Context(), w.conn, lattice); err != nil || got != want {
			t.Errorf("lattice %s is served %q, %v; want %q", lattice, got, err, want)
		}
	}
}

// TestReplicas: a second process sees that the first one is Trellis, serves too, and only one of them answers.
func TestReplicas(t *testing.T) {
	w := start(t, newFakeAPI())
	states := make(chan wadmapi.State, 8)
	w.serve(t.Context(), func(s wadmapi.State) { states <- s })
	if s := next(t, states); !s.Serving {
		t.Errorf("the second replica: %+v", s)
	}
	if n := len(w.gather(t, "wadm.api.default.model.list")); n != 1 {
		t.Errorf("%d replies from two replicas", n)
	}
	// Other lattices are not ours.
	if _, err := w.conn.Request("wadm.api.other.model.list", nil, time.Second); err != nats.ErrNoResponders {
		t.Errorf("another lattice: %v", err)
	}
}

// gather returns all replies that come within a short time.
func (w *wash) gather(t *testing.T, subject string) []*nats.Msg {
	t.Helper()
	inbox := w.conn.NewRespInbox()
	sub, err := w.conn.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.conn.PublishRequest(subject, inbox, nil); err != nil {
		t.Fatal(err)
	}
	var all []*nats.Msg
	for {
		msg, err := sub.NextMsg(300 * time.Millisecond)
		if err != nil {
			return all
		}
		all = append(all, msg)
	}
}

func TestPublishStatus(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	sub, err := w.conn.SubscribeSync("wadm.status.default.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	w.ask("model.put", "application/json", app("shop", "v1", "i:1"))
	w.ask("model.deploy.shop", "", "")
	api.edit("shop", func(a *oam.Application) {
		a.Status.Phase = oam.PhaseDeployed
		a.Status.ObservedGeneration = a.Generation
	})
	ctx := t.Context()
	for range 2 { // the second says nothing new
		if err := w.srv.PublishStatus(ctx, api.get("shop"), false); err != nil {
			t.Fatal(err)
		}
	}
	w.ask("model.put", "application/json", app("shop", "v2", "i:2")) // v1 still is what runs
	api.edit("shop", func(a *oam.Application) {
		a.Status.Phase = oam.PhaseReconciling
		a.Status.ObservedGeneration = a.Generation
	})
	if err := w.srv.PublishStatus(ctx, api.get("shop"), false); err != nil {
		t.Fatal(err)
	}
	if err := w.srv.PublishStatus(ctx, api.get("shop"), true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"deployed", "reconciling", "undeployed"} {
		msg, err := sub.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatalf("no status %s: %v", want, err)
		}
		var s wadmapi.Status
		if err := json.Unmarshal(msg.Data, &s); err != nil || s.Status.Type != want || msg.Subject != "wadm.status.default.shop" {
			t.Errorf("%s: %s, want %s", msg.Subject, msg.Data, want)
		}
	}
}

// TestFollowStatus: the replica that acts next repeats nothing that was published before, and says what is new.
func TestFollowStatus(t *testing.T) {
	api := newFakeAPI()
	w := start(t, api)
	heard, err := w.conn.SubscribeSync("wadm.status.default.shop")
	if err != nil {
		t.Fatal(err)
	}
	other, err := wadmapi.New(wadmapi.Config{
		Conn: connect(t, w.url), Lattice: "default", Version: "v0-test", Applications: api, Revisions: api, Homes: api,
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 8)
	if err := other.FollowStatus(t.Context(), func(name string) bool { seen <- name; return true }); err != nil {
		t.Fatal(err)
	}
	w.ask("model.put", "application/json", app("shop", "v1", "i:1"))
	w.ask("model.deploy.shop", "", "")
	publish := func(s *wadmapi.Server) {
		t.Helper()
		if err := s.PublishStatus(t.Context(), api.get("shop"), false); err != nil {
			t.Fatal(err)
		}
		<-seen
		if err := w.conn.Publish("wadm.status.default.probe", nil); err != nil {
			t.Fatal(err)
		}
		<-seen // messages are heard in turn: the follower is done with the one before
	}
	publish(w.srv)
	if err := other.PublishStatus(t.Context(), api.get("shop"), false); err != nil {
		t.Fatal(err)
	}
	w.ask("model.undeploy.shop", "", "")
	publish(other)
	for _, kind := range []string{"reconciling", "undeployed"} {
		msg, err := heard.NextMsg(5 * time.Second)
		if err != nil || !strings.Contains(string(msg.Data), kind) {
			t.Errorf("heard %v, %v; want %s", msg, err, kind)
		}
	}
	if n, _, _ := heard.Pending(); n != 0 {
		t.Errorf("%d messages too many", n)
	}
}

func TestNew_Errors(t *testing.T) {
	if _, err := wadmapi.New(wadmapi.Config{Lattice: "a.b"}); err == nil {
		t.Error("a lattice name with a dot was accepted")
	}
	if _, err := wadmapi.New(wadmapi.Config{Lattice: "a", Account: "A.>"}); err == nil {
		t.Error("an account of two tokens was accepted")
	}
	if _, err := wadmapi.New(wadmapi.Config{Lattice: "a"}); err == nil {
		t.Error("a server without connection was accepted")
	}
}
