package apiserver

import (
	"io"
	"net/http"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// busy starts a server with room for few requests, and fills it: reads that wait for a revision of the future, and writes
// whose bodies never end.
func busy(t *testing.T, most int) *world {
	t.Helper()
	w := prepare(t)
	w.serve(func(c *Config) {
		w.byCertificate(c)
		c.MaxReads, c.MaxWrites = most, most
	})
	client := must(rest.HTTPClientFor(w.as("alice")))(t)
	hold := func(method, path string, body io.Reader) {
		request := must(http.NewRequestWithContext(t.Context(), method, "https://"+w.address+path, body))(t)
		request.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(request)
		if err == nil {
			answer.Body.Close()
		}
	}
	for range most {
		reader, writer := io.Pipe()
		t.Cleanup(func() { _ = writer.Close() })
		go hold(http.MethodPost, listPath, reader)
		go func() {
			for t.Context().Err() == nil {
				hold(http.MethodGet, listPath+"?resourceVersion=99999999", nil) // three seconds each
			}
		}()
	}
	return w
}

func TestOverload(t *testing.T) {
	w := busy(t, 3)
	for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: `{}`} {
		var header http.Header
		w.eventually(method+" is one too many", func() error {
			status, h, text := w.do(w.as("alice"), method, listPath, "application/json", body)
			if header = h; status != http.StatusTooManyRequests {
				return io.EOF
			}
			if text == "" {
				t.Error("the refusal says nothing")
			}
			return nil
		})
		if header.Get("Retry-After") == "" {
			t.Errorf("%s: a refusal without Retry-After: %v", method, header)
		}
	}
	// Who probes has no certificate, and is answered at once.
	stranger := &rest.Config{Host: "https://" + w.address, TLSClientConfig: rest.TLSClientConfig{CAData: w.ca.Cert}}
	for _, path := range append([]string{"/readyz?exclude=store-changed"}, healthPaths...) {
		began := time.Now()
		if status, _, body := w.do(stranger, http.MethodGet, path, "", ""); status != http.StatusOK || time.Since(began) > time.Second {
			t.Errorf("%s of a busy server: %d after %s: %s", path, status, time.Since(began), body)
		}
	}
	// The server's own work and watches go on.
	if status, _, body := w.do(w.as("admin", "system:masters"), http.MethodGet, listPath, "application/json", ""); status != http.StatusOK {
		t.Errorf("a master is refused: %d %s", status, body)
	}
	if status, _, body := w.do(w.as("alice"), http.MethodGet, listPath+"?watch=true&timeoutSeconds=1", "application/json", ""); status != http.StatusOK {
		t.Errorf("a watch is refused: %d %s", status, body)
	}
}
