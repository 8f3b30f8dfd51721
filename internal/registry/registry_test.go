package registry

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestRegistryKeepsImagesOverARestart(t *testing.T) {
	dir := t.TempDir()
	first, err := Start(t.Context(), "127.0.0.1:0", dir)
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(1024, 1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference(t, first, "acme/thing:1"), image); err != nil {
		t.Fatalf("push: %v", err)
	}
	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatalf("shutdown: %v", err)
	}

	second, err := Start(t.Context(), "127.0.0.1:0", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Shutdown(t.Context()) }()
	got, err := remote.Head(reference(t, second, "acme/thing:1"))
	if err != nil {
		t.Fatalf("read after the restart: %v", err)
	}
	if got.Digest != want {
		t.Errorf("digest after the restart = %s; want %s", got.Digest, want)
	}
}

func TestStart_Errors(t *testing.T) {
	running, err := Start(t.Context(), "127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = running.Shutdown(t.Context()) }()
	for _, test := range []struct{ name, address, want string }{
		{"port in use", running.Address(), "choose another port"},
		{"not loopback", "0.0.0.0:0", "must listen on loopback"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Start(t.Context(), test.address, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Start(%q) = %v; want an error with %q", test.address, err, test.want)
			}
		})
	}
	response, err := http.Get("http://" + running.Address() + "/v2/")
	if err != nil {
		t.Fatalf("the registry that ran before does not answer any more: %v", err)
	}
	if response.StatusCode != http.StatusOK {
		t.Errorf("GET /v2/ = %s; want 200", response.Status)
	}
	_ = response.Body.Close()
}

func reference(t *testing.T, s *Server, repository string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s.Address()+"/"+repository, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
