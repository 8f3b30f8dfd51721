package natskeys_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/helper"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// engine runs components that answer with one word of their configuration.
type engine struct{}

func (engine) Load(context.Context, []byte) (wasmhost.Component, error) { return component{}, nil }

type component struct{}

func (component) Close() {}
func (component) Serve(w http.ResponseWriter, _ *http.Request, call wasmhost.Call) {
	defer call.Done(nil)
	_, _ = io.WriteString(w, call.Config()["say"])
}

// runHost runs trellis-host behind a leaf until the test or stop ends it.
func (w *system) runHost(leaf *nats.Conn) (host *wasmhost.Host, stop func()) {
	w.t.Helper()
	server := natsconn.Config{URLs: []string{leaf.ConnectedUrl()}}
	host, err := wasmhost.New(wasmhost.Config{Control: server, RPC: server, JSDomain: "default", Engine: engine{},
		AllowFileLoad: true, ComponentAuction: true, ProviderAuction: true, Heartbeat: 200 * time.Millisecond})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the host ended with: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return host, stop
}

// TestHost: all that a host does works through a leaf with narrow rights: commands, events, buckets, drain.
func TestHost(t *testing.T) {
	w := newSystem(t)
	client, err := control.New(w.operator, "default", control.Options{Domain: "default", Window: 300 * time.Millisecond})
	w.must(err)
	var mu sync.Mutex
	kinds := map[lattice.EventKind]bool{}
	_, err = client.Events(t.Context(), func(e lattice.Event) { mu.Lock(); defer mu.Unlock(); kinds[e.Kind()] = true }, nil)
	w.must(err)
	saw := func(want ...lattice.EventKind) {
		t.Helper()
		for _, kind := range want {
			w.eventually(string(kind), func() bool { mu.Lock(); defer mu.Unlock(); return kinds[kind] })
		}
	}
	leaf := w.join(groupOf("team-a", "hosts", nil))
	host, stop := w.runHost(leaf)
	saw(lattice.KindHostStarted, lattice.KindHostHeartbeat)

	if hosts, err := client.Ping(t.Context()); err != nil || len(hosts) != 1 || hosts[0].ID != host.ID() {
		t.Errorf("ping: %v, %v", hosts, err)
	}
	address := w.serve(client, host.ID())
	saw(lattice.KindConfigSet, lattice.KindLinkSet, lattice.KindProviderStarted, lattice.KindComponentScaled)
	if got := answerOf(t, address); got != "hello" {
		t.Errorf("the component says %q", got)
	}
	w.must(client.PutConfig(t.Context(), "words", lattice.Config{"say": "bye"}))
	w.eventually("the host follows the bucket", func() bool { return answerOf(t, address) == "bye" })

	w.drain(client, leaf)
	w.must(client.StopProvider(t.Context(), host.ID(), "web-http"))
	w.must(client.DeleteLink(t.Context(), lattice.LinkKey{SourceID: "web-http", Name: "default", WitNamespace: "wasi", WitPackage: "http"}))
	saw(lattice.KindProviderStopped, lattice.KindLinkDeleted)
	stop()
	saw(lattice.KindHostStopped)
}

// TestHost_BucketsDeleted: a hand deletes the buckets that all hosts share. Hosts may not make them; the operator does, and
// they follow.
func TestHost_BucketsDeleted(t *testing.T) {
	w := newSystem(t)
	client, err := control.New(w.operator, "default", control.Options{Domain: "default"})
	w.must(err)
	host, _ := w.runHost(w.join(groupOf("team-a", "hosts", nil)))
	w.eventually("the host answers", func() bool {
		_, err := client.HostInventory(t.Context(), host.ID())
		return err == nil
	})
	address := w.serve(client, host.ID())
	for _, bucket := range []string{"LATTICEDATA_default", "CONFIGDATA_default"} {
		w.must(w.stream().DeleteKeyValue(t.Context(), bucket))
	}
	w.eventually("the host follows the new bucket", func() bool {
		err := client.PutConfig(t.Context(), "words", lattice.Config{"say": "again"})
		return err == nil && answerOf(t, address) == "again"
	})
}

// serve runs component web behind an HTTP server and returns its address.
func (w *system) serve(client *control.Client, host string) string {
	t := w.t
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	address := l.Addr().String()
	w.must(l.Close())
	code := filepath.Join(t.TempDir(), "web.wasm")
	write(t, code, []byte("web"))
	w.must(client.PutConfig(t.Context(), "address", lattice.Config{"address": address}))
	w.must(client.PutConfig(t.Context(), "words", lattice.Config{"say": "hello"}))
	w.must(client.PutLink(t.Context(), lattice.Link{SourceID: "web-http", Target: "web", Name: "default", WitNamespace: "wasi",
		WitPackage: "http", Interfaces: []string{"incoming-handler"}, SourceConfig: []string{"address"}}))
	w.must(client.StartProvider(t.Context(), lattice.StartProvider{ProviderID: "web-http",
		ProviderRef: "ghcr.io/wasmcloud/http-server:0.27.0", HostID: host}))
	_, err = client.ScaleComponent(t.Context(), lattice.ScaleComponent{ComponentID: "web", ComponentRef: "file://" + code, Count: 1,
		HostID: host, Config: []string{"words"}})
	w.must(err)
	w.eventually("the component answers", func() bool { return answerOf(t, address) == "hello" })
	return address
}

// drain asks as the helper in the pod does; its question reaches the operator, and the answer comes back.
func (w *system) drain(client *control.Client, leaf *nats.Conn) {
	t := w.t
	t.Helper()
	asked := make(chan string, 100)
	_, err := client.ServeDrains(t.Context(), func(podUID string) (lattice.DrainAnswer, bool) {
		asked <- podUID
		return lattice.DrainAnswer{Known: true}, true
	})
	w.must(err)
	t.Setenv("WASMCLOUD_LABEL_kubernetes_pod_uid", "uid-of-the-pod")
	var stdout, stderr bytes.Buffer
	address := strings.TrimPrefix(leaf.ConnectedUrl(), "nats://")
	if code := helper.Run([]string{"drain", "--lattice", "default", "--address", address, "--timeout", "3s"}, &stdout, &stderr); code != 0 {
		t.Errorf("drain: exit code %d, %s", code, stderr.String())
	}
	if len(asked) == 0 || <-asked != "uid-of-the-pod" {
		t.Errorf("the operator was not asked; the helper says: %s", stdout.String())
	}
}

func answerOf(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get("http://" + address)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// TestHost_SentAllowed sends one message of every recorded kind by way of the leaf: all that hosts sent comes through.
func TestHost_SentAllowed(t *testing.T) {
	w := newSystem(t)
	leaf := w.join(groupOf("team-a", "hosts", nil))
	heard := w.listen(w.operator, ">", "")
	var want []string
	for _, subject := range captured(t) {
		if strings.HasPrefix(subject, "wasmbus.evt.") || strings.HasPrefix(subject, "wasmbus.rpc.") {
			want = append(want, subject)
		}
	}
	want = append(want, "_INBOX.a.b", "default.web.wrpc.0.0.1.wrpc:http/incoming-handler@0.1.0.handle", "trellis.drain.default")
	slices.Sort(want)
	want = slices.Compact(want)
	w.known(leaf)
	for _, subject := range want {
		w.must(leaf.Publish(subject, nil))
	}
	got := map[string]bool{}
	w.eventually("every message", func() bool {
		for len(heard) > 0 {
			got[(<-heard).Subject] = true
		}
		return !slices.ContainsFunc(want, func(subject string) bool { return !got[subject] })
	})
}

// TestHost_Widened: what the spec adds works, and only that.
func TestHost_Widened(t *testing.T) {
	w := newSystem(t)
	for _, bucket := range []string{"sessions", "others"} {
		_, err := w.stream().CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket})
		w.must(err)
	}
	var many []string
	for i := range 62 { // the most that the schema takes, with the two below
		many = append(many, strings.Repeat("x", 240)+string(rune('A'+i/26))+string(rune('a'+i%26))+".>")
	}
	leaf := w.join(groupOf("team-a", "hosts", func(s *v1alpha1.WasmCloudHostConfigSpec) {
		s.NATS = &v1alpha1.NATS{Publish: append(many, "orders.>", "prices.*"), Subscribe: []string{"news.>"}, Buckets: []string{"sessions"}}
	}))
	heard := w.listen(w.operator, ">", "")
	w.known(leaf)
	for _, subject := range []string{"orders.new.eu", "prices.eur", "prices.eur.now", "news.yesterday"} {
		w.must(leaf.Publish(subject, nil))
	}
	if _, err := w.jetStream(leaf, "default").KeyValue(t.Context(), "others"); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a bucket that was not named: %v", err)
	}
	all := w.listen(leaf, ">", "")
	w.settle(leaf)
	for _, subject := range []string{"news.today", "weather.today", "orders.back"} {
		w.must(w.operator.Publish(subject, nil))
	}
	kv, err := w.jetStream(leaf, "default").KeyValue(t.Context(), "sessions")
	w.must(err)
	_, err = kv.PutString(t.Context(), "a", "1")
	w.must(err)
	if keys, err := kv.Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("keys = %v, %v", keys, err)
	}
	w.settle(leaf)
	if got, want := words(heard), []string{"news.today", "orders.back", "orders.new.eu", "prices.eur", "weather.today"}; !slices.Equal(got, want) {
		t.Errorf("the hub heard %v, want %v", got, want)
	}
	if got, want := words(all), []string{"news.today"}; !slices.Equal(got, want) {
		t.Errorf("the host heard %v, want %v", got, want)
	}
}

// words are the subjects of applications among the messages.
func words(messages <-chan *nats.Msg) (subjects []string) {
	for len(messages) > 0 {
		m := <-messages
		for _, word := range []string{"orders.", "prices.", "news.", "weather."} {
			if strings.HasPrefix(m.Subject, word) {
				subjects = append(subjects, m.Subject)
			}
		}
	}
	slices.Sort(subjects)
	return subjects
}
