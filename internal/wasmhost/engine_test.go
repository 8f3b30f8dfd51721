//go:build cgo

package wasmhost_test

import (
	"testing"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost"
	"github.com/trellis-operator/trellis/internal/wasmhost/engine"
)

func TestHello(t *testing.T) {
	runtime, err := engine.New(engine.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *wasmhost.Config) { c.Engine = runtime })
	w.must(w.client.PutConfig(t.Context(), "words", lattice.Config{}))
	url := w.serve("hello", hello, 4, func(c *lattice.ScaleComponent) { c.Config = []string{"words"} })
	if status, body := get(t, url); status != 200 || body != "Hello from Wasm!\n" {
		t.Fatalf("%d %q", status, body)
	}
	w.must(w.client.PutConfig(t.Context(), "words", lattice.Config{"greeting": "Guten Tag"}))
	w.eventually("the changed configuration changes the answer", func() bool {
		_, body := get(t, url)
		return body == "Guten Tag\n"
	})
}
