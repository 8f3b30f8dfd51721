package secrets_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/secrets"
)

func TestNew_Errors(t *testing.T) {
	conn := connect(t, natsd.Run(t, natsd.Options{}).ClientURL())
	complete := func(change func(*secrets.Options)) secrets.Options {
		o := secrets.Options{Conn: conn, Lattice: "default", Keyring: keyring(t, backendSeed), Keeper: gives(""), Memory: &memory{}, Auditor: &world{}}
		change(&o)
		return o
	}
	for name, o := range map[string]secrets.Options{
		"no connection":   complete(func(o *secrets.Options) { o.Conn = nil }),
		"no lattice":      complete(func(o *secrets.Options) { o.Lattice = "" }),
		"no keyring":      complete(func(o *secrets.Options) { o.Keyring = nil }),
		"no keeper":       complete(func(o *secrets.Options) { o.Keeper = nil }),
		"no memory":       complete(func(o *secrets.Options) { o.Memory = nil }),
		"no auditor":      complete(func(o *secrets.Options) { o.Auditor = nil }),
		"wild backend":    complete(func(o *secrets.Options) { o.Backend = "*" }),
		"dotted backend":  complete(func(o *secrets.Options) { o.Backend = "a.b" }),
		"wild prefix":     complete(func(o *secrets.Options) { o.Prefixes = []string{"a.>"} }),
		"wild beginning":  complete(func(o *secrets.Options) { o.Prefixes = []string{"*.*"} }),
		"one star":        complete(func(o *secrets.Options) { o.Prefixes = []string{"a.*"} }),
		"empty prefix":    complete(func(o *secrets.Options) { o.Prefixes = []string{""} }),
		"trailing dot":    complete(func(o *secrets.Options) { o.Prefixes = []string{"a."} }),
		"space in prefix": complete(func(o *secrets.Options) { o.Prefixes = []string{"a b"} }),
	} {
		if _, err := secrets.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNewKeyring_Errors(t *testing.T) {
	for name, seed := range map[string]string{"empty": "", "public": hostKey, "another kind": "SU" + hostSeed[2:], "typo": hostSeed[:57] + "A", "long": hostSeed + hostSeed} {
		_, err := secrets.NewKeyring(secrets.Key{Seed: []byte(backendSeed)}, secrets.Key{Seed: []byte(seed)})
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if seed != "" && strings.Contains(err.Error(), seed[2:10]) {
			t.Errorf("%s: the error holds the seed", name)
		}
	}
	if _, err := secrets.NewKeyring(); err == nil {
		t.Error("a keyring without keys")
	}
	if _, err := secrets.NewKeyring(secrets.Key{Seed: []byte(backendSeed + "\n")}); err != nil {
		t.Errorf("with the line end of a file: %v", err)
	}
}

// TestReplicas: each request is answered by one of two, and both work.
func TestReplicas(t *testing.T) {
	var asked [2]atomic.Int32
	counting := func(i int) keeperFunc {
		return func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
			asked[i].Add(1)
			return gives(canary)(ctx, q)
		}
	}
	b := start(t, counting(0), nil)
	serve(t, b.url, counting(1), nil)
	inbox := b.conn.NewRespInbox()
	replies, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	const requests = 200
	for i := range requests {
		msg := b.request([]string{plainGet, groupGet}[i%2], hostKey, b.sealed(usual(), backendKey))
		msg.Reply = inbox
		if err := b.conn.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		reply, err := replies.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.text(reply); got != usualReply {
			t.Fatal(got)
		}
	}
	if one, two := asked[0].Load(), asked[1].Load(); one == 0 || two == 0 || one+two != requests {
		t.Errorf("asked %d and %d times", one, two)
	}
	if n, _, _ := replies.Pending(); n != 0 {
		t.Errorf("%d replies too many", n)
	}
}

// TestErrors_Flood: an asker who asks too often is refused, and nobody else.
func TestErrors_Flood(t *testing.T) {
	b := start(t, gives(canary), func(o *secrets.Options) {
		o.Rate, o.Burst = 0.000001, 3
	})
	for _, c := range []struct{ subject, want string }{
		{plainGet, `{"error":{"UpstreamError":"too many requests of hosts whose host group is unknown; ask again"}}`},
		{groupGet, `{"error":{"UpstreamError":"too many requests of host group team-a/hosts.eu; ask again"}}`},
	} {
		for i := range 10 {
			got, want := b.get(c.subject, usual()), usualReply
			if i >= 3 {
				want = c.want
			}
			if got != want {
				t.Errorf("%s, request %d: got %s, want %s", c.subject, i, got, want)
			}
		}
	}
	if got := b.send(&nats.Msg{Subject: plainKey}); !strings.HasPrefix(string(got.Data), `{"error"`) {
		t.Errorf("the key is not limited: %s", got.Data)
	}
	floods := 0
	for _, d := range b.decided() {
		if d.Flood {
			floods++
		}
	}
	if floods != 14 || len(b.decided()) != 20 {
		t.Errorf("%d of %d were a flood", floods, len(b.decided()))
	}
}

// TestErrors_Busy: a full house says so, at once, and the others are answered.
func TestErrors_Busy(t *testing.T) {
	entered, leave := make(chan bool, 2), make(chan bool)
	b := start(t, keeperFunc(func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
		entered <- true
		<-leave
		return gives(canary)(ctx, q)
	}), func(o *secrets.Options) { o.InFlight = 2 })
	answers := make(chan string, 2)
	for range 2 {
		go func() { answers <- b.get(plainGet, usual()) }()
		<-entered
	}
	if got, want := b.get(plainGet, usual()), `{"error":{"UpstreamError":"busy, ask again"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	close(leave)
	for range 2 {
		if got := <-answers; got != usualReply {
			t.Error(got)
		}
	}
	eventually(t, "there is room again", func() bool { return b.get(plainGet, usual()) == usualReply })
}

// TestErrors_Late: a Keeper that does not come back is not waited for, and keeps its place.
func TestErrors_Late(t *testing.T) {
	leave := make(chan bool)
	b := start(t, keeperFunc(func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
		<-leave
		return gives(canary)(ctx, q)
	}), func(o *secrets.Options) { o.InFlight, o.Timeout = 1, time.Second })
	if got, want := b.get(plainGet, usual()), `{"error":{"UpstreamError":"the secret was not read in time; ask again"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := b.get(plainGet, usual()), `{"error":{"UpstreamError":"busy, ask again"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	close(leave)
	eventually(t, "there is room again", func() bool { return b.get(plainGet, usual()) == usualReply })
}

func TestErrors_Panic(t *testing.T) {
	var calls atomic.Int32
	b := start(t, keeperFunc(func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
		switch calls.Add(1) {
		case 1:
			panic("the value is " + canary)
		case 2:
			panic(errors.New(canary))
		case 3:
			return secrets.Secret{Value: []byte(canary)[:len(q.Key)+1_000]}, nil
		}
		return gives(canary)(ctx, q)
	}), nil)
	for range 3 {
		if got, want := b.get(plainGet, usual()), `{"error":{"UpstreamError":"the operator failed at this request; its log says where"}}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := b.get(plainGet, usual()); got != usualReply {
		t.Errorf("afterwards: %s", got)
	}
	for _, want := range []string{"panicked", "TestErrors_Panic.func1", "a panic with a string", "slice bounds out of range"} {
		if !strings.Contains(b.log(), want) {
			t.Errorf("the log lacks %q:\n%s", want, b.log())
		}
	}
}

// TestErrors_Audit: what can't be recorded is not given.
func TestErrors_Audit(t *testing.T) {
	b := start(t, gives(canary), func(o *secrets.Options) { o.Auditor = panics{} })
	if got, want := b.get(plainGet, usual()), `{"error":{"UpstreamError":"the operator failed at this request; its log says where"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

type panics struct{}

func (panics) Decided(secrets.Decision) { panic("no room") }

// TestErrors_Reply: nobody makes the server write outside of inboxes.
func TestErrors_Reply(t *testing.T) {
	b := start(t, gives(canary), nil)
	const target = "$KV.CONFIGDATA_default.victim"
	written, err := b.conn.SubscribeSync(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{target, ""} {
		for _, subject := range []string{plainKey, plainGet, "wasmcloud.secrets.v1alpha1.kube.x"} {
			msg := b.request(subject, hostKey, b.sealed(usual(), backendKey))
			msg.Reply = reply
			if err := b.conn.PublishMsg(msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := b.get(plainGet, usual()); got != usualReply {
		t.Error(got)
	}
	if n, _, _ := written.Pending(); n != 0 || len(b.decided()) != 1 {
		t.Errorf("%d messages outside of inboxes, %d decisions", n, len(b.decided()))
	}
}

// TestDrain: what was accepted is answered although the server ends.
func TestDrain(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	b := start(t, keeperFunc(func(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
		close(entered)
		<-leave
		if ctx.Err() != nil {
			t.Error("the request was cut off")
		}
		return gives(canary)(ctx, q)
	}), nil)
	answer, stopped := make(chan string, 1), make(chan error, 1)
	go func() { answer <- b.get(plainGet, usual()) }()
	<-entered
	go func() { stopped <- b.stop() }()
	eventually(t, "no more requests are taken", func() bool {
		_, err := b.conn.RequestMsg(&nats.Msg{Subject: plainKey}, time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	})
	if b.server.Ready() {
		t.Error("it is ready although it ends")
	}
	close(leave)
	if got := <-answer; got != usualReply {
		t.Error(got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestReady follows the connection.
func TestReady(t *testing.T) {
	first := natsd.Run(t, natsd.Options{})
	address, err := url.Parse(first.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	b := serve(t, first.ClientURL(), gives(canary), nil)
	first.Shutdown()
	eventually(t, "it is not ready", func() bool { return !b.server.Ready() })
	second := natsd.Run(t, natsd.Options{Port: port})
	eventually(t, "it is ready again", b.server.Ready)
	b.host = newHost(t, second.ClientURL())
	if got := b.get(plainGet, usual()); got != usualReply {
		t.Error(got)
	}
	if err := b.stop(); err != nil { // before its NATS is shut down
		t.Error(err)
	}
}

// TestReady_Refused: without the right to subscribe it is never ready.
func TestReady_Refused(t *testing.T) {
	url := natsServer(t, &server.Options{Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
		Subscribe: &server.SubjectPermission{Deny: []string{"wasmcloud.secrets.>"}},
	}}}})
	conn, err := nats.Connect(url, nats.UserInfo("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s, err := secrets.New(secrets.Options{Conn: conn, Lattice: "default", Keyring: keyring(t, backendSeed), Keeper: gives(""), Memory: &memory{}, Auditor: &world{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	eventually(t, "NATS has refused", func() bool { return errors.Is(conn.LastError(), nats.ErrPermissionViolation) })
	if s.Ready() {
		t.Error("it is ready")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRun_Closed(t *testing.T) {
	conn := connect(t, natsd.Run(t, natsd.Options{}).ClientURL())
	s, err := secrets.New(secrets.Options{Conn: conn, Lattice: "default", Keyring: keyring(t, backendSeed), Keeper: gives(""), Memory: &memory{}, Auditor: &world{}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	eventually(t, "the server is ready", s.Ready)
	conn.Close()
	if err := <-done; err == nil {
		t.Error("the connection was closed and Run says nothing")
	}
}
