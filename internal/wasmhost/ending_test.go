package wasmhost_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// gate is an engine whose components answer when they are let: each request that has begun is told on begun, and goes on
// with a value of proceed. Code that is closed answers nothing more.
type gate struct {
	begun   chan struct{}
	proceed chan struct{}
}

func newGate() *gate { return &gate{begun: make(chan struct{}, 8), proceed: make(chan struct{})} }

func (g *gate) Load(context.Context, []byte) (wasmhost.Component, error) {
	return &gated{gate: g, closed: make(chan struct{})}, nil
}

type gated struct {
	*gate
	closed chan struct{}
}

func (c *gated) Close() { close(c.closed) }

func (c *gated) Serve(w http.ResponseWriter, _ *http.Request, call wasmhost.Call) {
	defer call.Done(nil)
	select {
	case <-c.closed:
		http.Error(w, "the code is closed", http.StatusServiceUnavailable)
		return
	default:
	}
	c.begun <- struct{}{}
	<-c.proceed
	_, _ = io.WriteString(w, "done")
}

// underway serves a component, lets two requests begin, and returns what both get.
func (w *world) underway(g *gate) (url string, results chan string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "code")
	w.must(os.WriteFile(path, []byte("x"), 0o600))
	url = w.serve("app-c", path, 2, nil)
	results = make(chan string, 2)
	for range 2 {
		go func() {
			response, err := http.Get(url)
			if err != nil {
				results <- err.Error()
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			results <- strings.Join([]string{response.Status, string(body), errText(err)}, " ")
		}()
	}
	<-g.begun
	<-g.begun
	return url, results
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Requests that have begun are answered, whatever ends: the component, the provider, the host by a signal or by a command.
// host_stopped comes after the last answer, when the ports are closed.
func TestEnding_RequestsAreAnswered(t *testing.T) {
	closed := func(url string) func() bool {
		return func() bool {
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 200 * time.Millisecond}
			response, err := client.Get(url)
			if err == nil {
				response.Body.Close()
			}
			return err != nil && !errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "refused")
		}
	}
	for name, end := range map[string]func(w *world, url string){
		"the component is stopped": func(w *world, _ string) {
			_, err := w.client.ScaleComponent(t.Context(), lattice.ScaleComponent{ComponentID: "app-c", HostID: w.host})
			w.must(err)
			w.event(lattice.KindComponentScaled, func(e lattice.Event) bool { return e.Data.(lattice.ComponentScaled).MaxInstances == 0 })
		},
		"the component is updated": func(w *world, _ string) {
			path := filepath.Join(t.TempDir(), "other")
			w.must(os.WriteFile(path, []byte("y"), 0o600))
			_, err := w.client.UpdateComponent(t.Context(), lattice.UpdateComponent{ComponentID: "app-c", NewComponentRef: fileRef(t, path), HostID: w.host})
			w.must(err)
			w.event(lattice.KindComponentScaled, func(e lattice.Event) bool {
				return strings.HasSuffix(e.Data.(lattice.ComponentScaled).ImageRef, "other")
			})
		},
		"the provider is stopped": func(w *world, url string) {
			w.must(w.client.StopProvider(t.Context(), w.host, "app-c-http"))
			w.eventually("the port is closed", closed(url))
		},
		"provider and component are stopped, and the host ends": func(w *world, url string) {
			w.must(w.client.StopProvider(t.Context(), w.host, "app-c-http"))
			_, err := w.client.ScaleComponent(t.Context(), lattice.ScaleComponent{ComponentID: "app-c", HostID: w.host})
			w.must(err)
			go w.stop()
			w.eventually("the port is closed", closed(url))
		},
		"the host gets a signal": func(w *world, url string) {
			go w.stop()
			w.eventually("the port is closed", closed(url))
		},
		"the host gets a command": func(w *world, url string) {
			w.must(w.client.StopHost(t.Context(), w.host, 0))
			w.eventually("the port is closed", closed(url))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			w := newWorld(t, func(c *wasmhost.Config) { c.Engine = g })
			url, results := w.underway(g)
			end(w, url)
			if w.has(lattice.KindHostStopped) {
				t.Error("host_stopped comes before the requests are answered")
			}
			for range 2 {
				g.proceed <- struct{}{}
			}
			for range 2 {
				if got := <-results; got != "200 OK done " {
					t.Errorf("a request got %q", got)
				}
			}
		})
	}
}

// A request that does not end keeps no host alive for ever.
func TestEnding_Bounded(t *testing.T) {
	g := newGate()
	w := newWorld(t, func(c *wasmhost.Config) { c.Engine = g })
	_, results := w.underway(g)
	w.must(w.client.StopHost(t.Context(), w.host, 300*time.Millisecond))
	w.event(lattice.KindHostStopped, nil)
	for range 2 {
		if got := <-results; strings.Contains(got, "200") {
			t.Errorf("a request got %q", got)
		}
	}
	close(g.proceed)
}

func (w *world) has(kind lattice.EventKind) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind() == kind {
			return true
		}
	}
	return false
}

// Clients of a host that is about to end are asked to connect anew; those of others are not.
func TestEnding_Connections(t *testing.T) {
	w := newWorld(t, func(c *wasmhost.Config) { c.Labels = map[string]string{lattice.LabelPodUID: "mine"} })
	path := filepath.Join(t.TempDir(), "code")
	w.must(os.WriteFile(path, []byte("x"), 0o600))
	url := w.serve("app-c", path, 1, nil)
	closes := func() bool {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		return response.Close
	}
	for _, body := range []string{`{"podUID":"other"}`, `{}`, `x`} {
		w.must(w.conn.Publish("trellis.drain.default", []byte(body)))
	}
	// What was sent before has arrived when the host has answered.
	w.must(w.client.PutLabel(t.Context(), w.host, "a", "b"))
	if closes() {
		t.Error("connections are closed although another host ends")
	}
	w.must(w.conn.Publish("trellis.drain.default", []byte(`{"podUID":"mine"}`)))
	w.eventually("connections are closed", closes)
}
