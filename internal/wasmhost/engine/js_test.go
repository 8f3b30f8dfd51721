//go:build cgo

package engine

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost"
)

// jsComponent is the component that nobody here tuned for. It is built from npm packages, which takes a minute; where
// TRELLIS_REQUIRE_JS is set, doing without is a failure.
func jsComponent(t testing.TB) []byte {
	t.Helper()
	path := fixtures + "js/app.wasm"
	code, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("TRELLIS_REQUIRE_JS") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %v; build it with `npm install && npm run build-js` in test/fixtures/components", err)
	}
	return code
}

func TestJavaScript(t *testing.T) {
	s := serve(t, jsComponent(t), wasmhost.Call{MaxTime: 3 * time.Second})
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/":      {200, "Hello from JavaScript!\n"},
		"/wait":  {200, "waited\n"},
		"/throw": {500, "component failed"},
		"/spin":  {504, "maximum execution time"},
		"/hoard": {500, "component failed"},
	} {
		status, body, err := fetch(t, http.MethodGet, s.url+path, nil)
		if err != nil || status != want.status || !strings.Contains(body, want.body) {
			t.Errorf("%s: %d %q, %v", path, status, body, err)
		}
	}
	status, body, err := fetch(t, http.MethodPut, s.url+"/headers?a=%ff&b=1", nil)
	var seen struct {
		Method, Path, Query string
		Headers             map[string]string
	}
	if err != nil || status != 200 || json.Unmarshal([]byte(body), &seen) != nil || seen.Method != "PUT" || seen.Query != "?a=%ff&b=1" {
		t.Errorf("/headers: %d %q, %v", status, body, err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	status, body, err = fetch(t, http.MethodPost, s.url+"/echo", bytes.NewReader(sent))
	if err != nil || status != 200 || body != string(sent) {
		t.Errorf("/echo: %d, %d bytes of %d, %v", status, len(body), len(sent), err)
	}
}
