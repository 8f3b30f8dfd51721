package wasmhost_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

const (
	patience = 20 * time.Second
	hello    = "../../examples/hello/component/hello.wasm"
)

// world is a NATS server with one host and a client of its lattice.
type world struct {
	t      *testing.T
	url    string
	conn   *nats.Conn
	client *control.Client
	host   string
	log    *logLines
	stop   func()

	mu     sync.Mutex
	events []lattice.Event
}

type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, args)
	}, funcr.Options{Verbosity: 1})
}

func (l *logLines) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.lines, "\n"), text)
}

// newWorld starts everything; change may alter the host's configuration.
func newWorld(t *testing.T, change func(*wasmhost.Config)) *world {
	t.Helper()
	return joinWorld(t, natsd.Run(t, natsd.Options{}).ClientURL(), change)
}

// joinWorld is newWorld on a server that the test runs itself.
func joinWorld(t *testing.T, url string, change func(*wasmhost.Config)) *world {
	t.Helper()
	w := &world{t: t, url: url, log: &logLines{}}
	var err error
	if w.conn, err = natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{w.url}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.conn.Close)
	if w.client, err = control.New(w.conn, "default", control.Options{Window: 200 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Events(t.Context(), w.note, nil); err != nil {
		t.Fatal(err)
	}
	w.startHost(change)
	return w
}

func (w *world) note(e lattice.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) startHost(change func(*wasmhost.Config)) {
	t := w.t
	t.Helper()
	server := natsconn.Config{URLs: []string{w.url}}
	c := wasmhost.Config{Control: server, RPC: server, AllowFileLoad: true, ComponentAuction: true, ProviderAuction: true,
		Engine: fakeEngine{}, Log: w.log.logger()}
	if change != nil {
		change(&c)
	}
	host, err := wasmhost.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.host = host.ID()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the host ended with: %v", err)
		}
	})
	t.Cleanup(w.stop)
	w.event("host_started", func(e lattice.Event) bool { return e.Host == w.host })
}

// event waits for an event, past or future.
func (w *world) event(kind lattice.EventKind, match func(lattice.Event) bool) lattice.Event {
	w.t.Helper()
	var found lattice.Event
	w.eventually(string(kind), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range w.events {
			if e.Kind() == kind && (match == nil || match(e)) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	waitFor(w.t, what, ok)
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// serve runs a component behind an HTTP server on a free port and returns its URL.
func (w *world) serve(id, path string, max uint32, change func(*lattice.ScaleComponent)) string {
	w.t.Helper()
	address := freeAddress(w.t)
	w.must(w.client.PutConfig(w.t.Context(), id+"-address", lattice.Config{"address": address}))
	w.must(w.client.PutLink(w.t.Context(), w.link(id)))
	w.must(w.client.StartProvider(w.t.Context(), lattice.StartProvider{
		ProviderID: id + "-http", ProviderRef: "ghcr.io/wasmcloud/http-server:0.27.0", HostID: w.host}))
	command := lattice.ScaleComponent{ComponentID: id, ComponentRef: fileRef(w.t, path), Count: max, HostID: w.host}
	if change != nil {
		change(&command)
	}
	_, err := w.client.ScaleComponent(w.t.Context(), command)
	w.must(err)
	w.event(lattice.KindComponentScaled, func(e lattice.Event) bool {
		return e.Data.(lattice.ComponentScaled).ComponentID == id
	})
	url := "http://" + address
	w.eventually(url+" listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return url
}

func (w *world) link(id string) lattice.Link {
	return lattice.Link{SourceID: id + "-http", Target: id, Name: "default", WitNamespace: "wasi", WitPackage: "http",
		Interfaces: []string{"incoming-handler"}, SourceConfig: []string{id + "-address"}}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func fileRef(t testing.TB, path string) string {
	t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return "file://" + absolute
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}
