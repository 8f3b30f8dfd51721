//go:build cgo

package wasmhost_test

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost"
	"github.com/trellis-operator/trellis/internal/wasmhost/engine"
	"github.com/trellis-operator/trellis/test/wasm/sign"
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

// A client of gRPC speaks HTTP/2 without TLS, and gets the trailers that the component sends.
func TestGRPC(t *testing.T) {
	runtime, err := engine.New(engine.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *wasmhost.Config) { c.Engine = runtime })
	url := w.serve("grpc", "../../test/fixtures/components/grpc.wasm", 4, nil)
	conn, err := grpc.NewClient(strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, words := range []string{"", "hello", strings.Repeat("long ", 100_000)} {
		var answer wrapperspb.StringValue
		if err := conn.Invoke(t.Context(), "/test.Echo/Say", wrapperspb.String(words), &answer); err != nil || answer.Value != words {
			t.Errorf("%d letters came back as %d, %v", len(words), len(answer.Value), err)
		}
	}
}

// A real component that is signed gets its secret by wasmcloud:secrets, and the value of a refresh in its next request.
func TestSecretComponent(t *testing.T) {
	runtime, err := engine.New(engine.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	v := newVault(t, func(c *wasmhost.Config) { c.Engine = runtime })
	code, err := os.ReadFile("../../test/fixtures/components/secret.wasm")
	v.must(err)
	account, module := sign.Seeds("alice")
	code, err = sign.Component(code, sign.Options{Account: account, Module: module, Name: "secret"})
	v.must(err)
	v.backend.set("db", text("opensesame"))
	url := v.serve("app", written(t, code), 4, func(c *lattice.ScaleComponent) { c.Config = []string{v.refer("password", "kube", "db")} })
	for path, want := range map[string]string{"/password": "string ce307555897036a8", "/db": "no secret"} {
		if status, body := get(t, url+path); status != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
	v.backend.set("db", `{"version":"2","binary_secret":[1,2,3]}`)
	v.must(v.refresh("app"))
	v.eventually("the bytes", func() bool { _, body := get(t, url+"/password"); return strings.HasPrefix(body, "bytes ") })
}
