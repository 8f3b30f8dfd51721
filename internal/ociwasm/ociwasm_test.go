package ociwasm_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
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
