package ociwasm_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/trellis-operator/trellis/internal/ociwasm"
)

func startRegistry(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestPushAndPull(t *testing.T) {
	host := startRegistry(t)
	code := append([]byte("\x00asm\x0d\x00\x01\x00"), bytes.Repeat([]byte{7}, 1000)...)
	path := filepath.Join(t.TempDir(), "hello.wasm")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := ociwasm.Push(t.Context(), host+"/acme/hello:0.1.0", path, ociwasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := ociwasm.Push(t.Context(), host+"/acme/hello:0.1.0", path, ociwasm.Options{})
	if err != nil || again != first {
		t.Errorf("second push: %s, %v; want %s", again, err, first)
	}
	mirrors, err := ociwasm.ParseMirrors("ghcr.io/acme=" + host + "/acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{host + "/acme/hello:0.1.0", "oci://ghcr.io/ACME/hello:0.1.0", "ghcr.io/acme/hello@" + first} {
		got, err := ociwasm.Pull(t.Context(), ref, ociwasm.Options{Mirrors: mirrors})
		if err != nil || !bytes.Equal(got, code) {
			t.Errorf("pull %s: %d bytes, %v", ref, len(got), err)
		}
	}
}

func TestPull_MediaTypes(t *testing.T) {
	host := startRegistry(t)
	for media, want := range map[types.MediaType]error{
		"application/vnd.module.wasm.content.layer.v1+wasm": nil,
		types.OCIUncompressedLayer:                          nil,
		types.DockerLayer:                                   ociwasm.ErrNotWasm,
	} {
		image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer([]byte("\x00asm"), media))
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(host + "/media:1")
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, image); err != nil {
			t.Fatal(err)
		}
		if _, err := ociwasm.Pull(t.Context(), ref.String(), ociwasm.Options{}); !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", media, err, want)
		}
	}
}

// TestOpen: components and archives of providers are opened, whatever their type, and what is not what the manifest names
// ends in an error.
func TestOpen(t *testing.T) {
	host := startRegistry(t)
	push := func(repository string, layer v1.Layer) string {
		t.Helper()
		image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(host + "/" + repository + ":1")
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, image); err != nil {
			t.Fatal(err)
		}
		return ref.String()
	}
	for media, want := range map[types.MediaType]error{
		"application/wasm": nil, "application/vnd.module.wasm.content.layer.v1+wasm": nil, types.OCIUncompressedLayer: nil,
		"application/vnd.wasmcloud.provider.archive.layer.v1+par": nil, types.DockerLayer: ociwasm.ErrNothing,
	} {
		blob, err := ociwasm.Open(t.Context(), push("open", static.NewLayer([]byte("content"), media)), ociwasm.Options{})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", media, err, want)
		}
		if err != nil {
			continue
		}
		if got, err := io.ReadAll(blob); err != nil || string(got) != "content" {
			t.Errorf("%s: %q, %v", media, got, err)
		}
		blob.Close()
	}
	par := push("par", static.NewLayer([]byte("content"), "application/vnd.wasmcloud.provider.archive.layer.v1+par"))
	if _, err := ociwasm.Pull(t.Context(), par, ociwasm.Options{}); !errors.Is(err, ociwasm.ErrNotWasm) {
		t.Errorf("a provider as a component: %v", err)
	}
	if _, err := ociwasm.Open(t.Context(), par, ociwasm.Options{MaxBytes: 5}); !errors.Is(err, ociwasm.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// TestOpen_Foreign: a registry that gives other bytes than its manifest names, more of them, or a size that is none.
func TestOpen_Foreign(t *testing.T) {
	const digest = "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73" // of "content"
	for name, tc := range map[string]struct {
		size, serves string
		opens        bool
	}{
		"as it says":     {"7", "content", true},
		"other bytes":    {"7", "c0ntent", true},
		"more":           {"7", "contents", true},
		"negative bytes": {"-1", "content", false},
	} {
		manifest := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"x","size":2,"digest":"` + digest +
			`"},"layers":[{"mediaType":"application/wasm","size":` + tc.size + `,"digest":"` + digest + `"}]}`
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				_, _ = io.WriteString(w, manifest)
			}
			if strings.Contains(r.URL.Path, "/blobs/") {
				w.(http.Flusher).Flush() // so that it does not say how much comes
				_, _ = io.WriteString(w, tc.serves)
			}
		}))
		t.Cleanup(server.Close)
		blob, err := ociwasm.Open(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/a:1", ociwasm.Options{MaxBytes: 100})
		if (err == nil) != tc.opens {
			t.Fatalf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		got, err := io.ReadAll(blob)
		blob.Close()
		if len(got) > 7 || (err == nil) != (string(got) == "content") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestRegistry(t *testing.T) {
	o := ociwasm.Options{Mirrors: ociwasm.Mirrors{{From: "ghcr.io/acme", To: "10.0.0.1:5000/acme"}}, AllowLatest: true}
	for ref, want := range map[string]string{
		"ghcr.io/acme/a:1": "10.0.0.1:5000", "ghcr.io/other/a:1": "ghcr.io", "oci://R.example.com:5000/a@sha256:" + strings.Repeat("1", 64): "r.example.com:5000",
		"nginx": "index.docker.io",
	} {
		if got, err := o.Registry(ref); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", ref, got, err, want)
		}
	}
	if _, err := o.Registry("a b"); !errors.Is(err, ociwasm.ErrReference) {
		t.Errorf("error = %v", err)
	}
}

func TestPull_Errors(t *testing.T) {
	host := startRegistry(t)
	if _, err := ociwasm.PushBytes(t.Context(), host+"/big:1", []byte("\x00asm0123456789"), ociwasm.Options{}); err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(10, 2)
	if err != nil {
		t.Fatal(err)
	}
	ref, _ := name.ParseReference(host + "/two:1")
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		ref  string
		o    ociwasm.Options
		want error
		text string
	}{
		"nonsense":   {ref: "a b", want: ociwasm.ErrReference},
		"latest":     {ref: host + "/big", want: ociwasm.ErrLatest},
		"too large":  {ref: host + "/big:1", o: ociwasm.Options{MaxBytes: 5}, want: ociwasm.ErrTooLarge},
		"two layers": {ref: host + "/two:1", want: ociwasm.ErrNotWasm},
		"absent":     {ref: host + "/absent:1", text: "NAME_UNKNOWN"},
	} {
		_, err := ociwasm.Pull(t.Context(), c.ref, c.o)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ociwasm.PushBytes(t.Context(), host+"/text:1", []byte("hello"), ociwasm.Options{}); !errors.Is(err, ociwasm.ErrNotWasm) {
		t.Errorf("push of a text: %v", err)
	}
}

func TestMirrors(t *testing.T) {
	m, err := ociwasm.ParseMirrors(" ghcr.io=10.0.0.1:5000/ghcr , ghcr.io/trellis-operator=127.0.0.1:5000/t,")
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"ghcr.io/trellis-operator/hello:1": "127.0.0.1:5000/t/hello:1",
		"ghcr.io/trellis-operator2/x:1":    "10.0.0.1:5000/ghcr/trellis-operator2/x:1",
		"ghcr.iox/a:1":                     "ghcr.iox/a:1",
	} {
		if got := m.Apply(ref); got != want {
			t.Errorf("%s: %s; want %s", ref, got, want)
		}
	}
	if _, err := ociwasm.ParseMirrors("ghcr.io"); !errors.Is(err, ociwasm.ErrMirrors) {
		t.Errorf("no equal sign: %v", err)
	}
}
