//go:build cgo

package engine

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"testing"

	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// hashed is what the fixture answers for a secret.
func hashed(kind string, value []byte) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte("trellis"))
	_, _ = h.Write(value)
	return fmt.Sprintf("%s %016x", kind, h.Sum64())
}

func TestSecrets(t *testing.T) {
	long := strings.Repeat("long ", 10_000)
	values := map[string]any{"text": "opensesame", "long": long, "empty": "", "bytes": []byte{0, 159, 255}, "no-bytes": []byte(nil)}
	s := serve(t, readFixture(t, "secret.wasm"), wasmhost.Call{Secret: func(name string) (any, bool) { v, ok := values[name]; return v, ok }})
	for name, want := range map[string]string{
		"text": hashed("string", []byte("opensesame")), "long": hashed("string", []byte(long)), "empty": hashed("string", nil),
		"bytes": hashed("bytes", []byte{0, 159, 255}), "no-bytes": hashed("bytes", nil), "gone": "no secret", "": "no secret",
	} {
		if status, body, err := fetch(t, http.MethodGet, s.url+"/"+name, nil); err != nil || status != 200 || body != want {
			t.Errorf("%q: %d %q, %v; want %q", name, status, body, err, want)
		}
	}
}

// TestSecrets_OtherVersion: an interface of the same name that came later is not this one; the component loads, and traps
// when it calls it.
func TestSecrets_OtherVersion(t *testing.T) {
	code := readFixture(t, "secret.wasm")
	newer := []byte(strings.ReplaceAll(string(code), "secrets/store@0.1.0-draft", "secrets/store@2.1.0-draft"))
	newer = []byte(strings.ReplaceAll(string(newer), "secrets/reveal@0.1.0-draft", "secrets/reveal@2.1.0-draft"))
	s := serve(t, newer, wasmhost.Call{Secret: func(string) (any, bool) { return "opensesame", true }})
	status, _, err := fetch(t, http.MethodGet, s.url+"/text", nil)
	if failure := s.outcome(t, 0); err != nil || status != 500 || failure == nil || !strings.Contains(failure.Error(), "get of wasmcloud:secrets/store@2.1.0-draft") {
		t.Errorf("%d, %v, %v", status, err, failure)
	}
}
