package wasmhost

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReadListenSettings(t *testing.T) {
	b64 := base64.RawStdEncoding.EncodeToString([]byte(`{"address":"1.2.3.4:80","readonly_mode":true}`))
	for what, c := range map[string]struct {
		config map[string]string
		want   string
		err    string
	}{
		"default":            {map[string]string{}, "9.9.9.9:9", ""},
		"address":            {map[string]string{"address": "127.0.0.1:8080"}, "127.0.0.1:8080", ""},
		"any case":           {map[string]string{"ADDRESS": "[::1]:8080"}, "[::1]:8080", ""},
		"JSON":               {map[string]string{"config_json": `{"address":"1.1.1.1:1"}`, "address": "2.2.2.2:2"}, "1.1.1.1:1", ""},
		"JSON has none":      {map[string]string{"config_json": `{}`}, "9.9.9.9:9", ""},
		"base64 wins":        {map[string]string{"config_b64": b64, "config_json": `{"address":"1.1.1.1:1"}`}, "1.2.3.4:80", ""},
		"port is ignored":    {map[string]string{"port": "81"}, "9.9.9.9:9", ""},
		"port is no port":    {map[string]string{"port": "http"}, "", "Invalid port"},
		"name":               {map[string]string{"address": "localhost:80"}, "", "invalid address: localhost:80"},
		"only a port":        {map[string]string{"address": ":80"}, "", "invalid address"},
		"half of TLS":        {map[string]string{"tls_cert_file": "x"}, "", "both or neither"},
		"no certificate":     {map[string]string{"tls_cert_file": "/x", "tls_priv_key_file": "/y"}, "", "load the certificate"},
		"bad JSON":           {map[string]string{"config_json": `{`}, "", "config_json"},
		"bad base64":         {map[string]string{"config_b64": `!`}, "", "config_b64"},
		"origins are a list": {map[string]string{"cors_allowed_origins": `"x"`}, "", "no JSON array"},
	} {
		s, err := readListenSettings(c.config, "9.9.9.9:9")
		if s.address != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", what, s.address, err)
		}
	}
}

func TestFilters(t *testing.T) {
	settings, err := readListenSettings(map[string]string{
		"readonly_mode": "true", "cache_control": "no-store", "timeout_ms": "50",
		"cors_allowed_origins": `["http://good.example"]`, "cors_exposed_headers": `["X-A"]`, "cors_max_age_secs": "5",
	}, fallbackAddress)
	if err != nil {
		t.Fatal(err)
	}
	handler := settings.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			w.WriteHeader(http.StatusRequestTimeout)
			_, _ = w.Write([]byte(context.Cause(r.Context()).Error()))
		}
	}))
	ask := func(method, path, origin, preflight string) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if preflight != "" {
			r.Header.Set("Access-Control-Request-Method", preflight)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Result()
	}
	if r := ask(http.MethodGet, "/", "", ""); r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Vary") != "" {
		t.Errorf("plain: %d %v", r.StatusCode, r.Header)
	}
	if r := ask(http.MethodPost, "/", "", ""); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST in read-only mode: %d", r.StatusCode)
	}
	began := time.Now()
	if r := ask(http.MethodGet, "/slow", "", ""); r.StatusCode != http.StatusRequestTimeout || time.Since(began) > 5*time.Second {
		t.Errorf("slow: %d after %s", r.StatusCode, time.Since(began))
	}
	r := ask(http.MethodOptions, "/", "http://good.example", "GET")
	if r.StatusCode != 200 || r.Header.Get("Access-Control-Allow-Origin") != "http://good.example" || r.Header.Get("Access-Control-Max-Age") != "5" {
		t.Errorf("preflight: %d %v", r.StatusCode, r.Header)
	}
	if r := ask(http.MethodGet, "/", "http://good.example", ""); r.Header.Get("Access-Control-Expose-Headers") != "X-A" {
		t.Errorf("allowed origin: %v", r.Header)
	}
	if r := ask(http.MethodGet, "/", "http://bad.example", ""); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin: %v", r.Header)
	}
}

func TestIsHTTPServer(t *testing.T) {
	for ref, want := range map[string]bool{
		"ghcr.io/wasmcloud/http-server:0.27.0": true, "127.0.0.1:5000/http-server": true, "oci://r/http-server@sha256:a": true,
		"wasmcloud+builtin://http-server": true, "wasmcloud+builtin://http-client": false, "ghcr.io/wasmcloud/http-server-2:1": false,
		"ghcr.io/http-server/other:1": false, "": false, "http-server:1": true,
	} {
		if got := isHTTPServer(ref); got != want {
			t.Errorf("%q: %v", ref, got)
		}
	}
}

// FuzzListenSettings: what a user may write into a configuration never makes the host panic, and an accepted address
// is one that can be listened on.
func FuzzListenSettings(f *testing.F) {
	f.Add("address", "1.2.3.4:5", "config_json", "{}")
	f.Add("config_b64", "e30", "timeout_ms", "99999999999999999999")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		s, err := readListenSettings(map[string]string{k1: v1, k2: v2}, fallbackAddress)
		if err == nil && checkAddress(s.address) != nil {
			t.Errorf("accepted the address %q", s.address)
		}
		_, _ = readProviderSettings(map[string]string{k1: v1, k2: v2})
	})
}
