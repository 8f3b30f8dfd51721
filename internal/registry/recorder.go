package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// maxManifest is the size that the OCI distribution specification asks registries to accept at least.
const maxManifest = 4 << 20

// recorder keeps each manifest that its inner handler accepted as a file, named by its path, and puts it there again
// when the registry starts.
type recorder struct {
	next http.Handler
	dir  string
}

// manifest is what a file holds.
type manifest struct {
	Path        string `json:"path"`
	ContentType string `json:"contentType"`
	Body        []byte `json:"body"`
}

func (h *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	isManifest := strings.Contains(r.URL.Path, "/manifests/")
	switch {
	case isManifest && r.Method == http.MethodPut:
		h.put(w, r)
	case isManifest && r.Method == http.MethodDelete:
		_ = os.Remove(h.file(r.URL.Path))
		h.next.ServeHTTP(w, r)
	default:
		h.next.ServeHTTP(w, r)
	}
}

// put writes the file first: a manifest that the client was told is stored must be there after a crash.
func (h *recorder) put(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		http.Error(w, "the manifest is larger than 4 MiB", http.StatusRequestEntityTooLarge)
		return
	}
	kept := manifest{Path: r.URL.Path, ContentType: r.Header.Get("Content-Type"), Body: body}
	if err := h.keep(kept); err != nil {
		http.Error(w, err.Error(), http.StatusInsufficientStorage)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	h.next.ServeHTTP(w, r)
}

func (h *recorder) keep(m manifest) error {
	content, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("keep the manifest: %w", err)
	}
	path := h.file(m.Path)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("keep the manifest: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep the manifest: %w", err)
	}
	return nil
}

// file names a manifest by its whole path, escaped to one file name.
func (h *recorder) file(path string) string {
	return filepath.Join(h.dir, url.QueryEscape(path)+".json")
}

// replay puts every kept manifest into the inner handler. An index may name manifests that come later in the folder, so
// those that are refused are tried once more after all others; what is refused then too has lost its blobs and stays
// away, as it would for a client.
func (h *recorder) replay() error {
	files, err := filepath.Glob(filepath.Join(h.dir, "*.json"))
	if err != nil {
		return fmt.Errorf("list the manifests of the registry: %w", err)
	}
	var failures []error
	for _, file := range append(files, files...) {
		content, err := os.ReadFile(file)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		var m manifest
		if err := json.Unmarshal(content, &m); err != nil {
			failures = append(failures, fmt.Errorf("%s is not a kept manifest: %w; remove it", file, err))
			continue
		}
		request := httptest.NewRequest(http.MethodPut, m.Path, bytes.NewReader(m.Body))
		request.Header.Set("Content-Type", m.ContentType)
		h.next.ServeHTTP(httptest.NewRecorder(), request)
	}
	return errors.Join(failures...)
}
