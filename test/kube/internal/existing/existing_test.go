package existing

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
)

// What is missing or wrong is one sentence that says what to do.
func TestNew_Errors(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for label, test := range map[string]struct{ kubeconfig, registry, want string }{
		"no kubeconfig":      {"", "registry.example.com/team", "set KUBECONFIG to the file that reaches your cluster"},
		"kubeconfig missing": {"/nowhere/kubeconfig", "registry.example.com/team", "KUBECONFIG is /nowhere/kubeconfig, which cannot be read (no such file or directory); set KUBECONFIG"},
		"no registry":        {file, "", "set IMAGE_REGISTRY to a registry that you may push to and your cluster may pull from"},
		"not a registry":     {file, "https://registry.example.com/team", "IMAGE_REGISTRY is \"https://registry.example.com/team\", which names no registry; set IMAGE_REGISTRY"},
		"no host":            {file, "team", "which names no registry; set IMAGE_REGISTRY"},
	} {
		_, err := New(test.kubeconfig, test.registry, nil, nil)
		expectSentence(t, label, err, test.want)
	}
	if _, err := New(file, "registry.example.com/team/", nil, nil); err != nil {
		t.Errorf("a good choice: %v", err)
	}
}

func TestRegistryAnswers(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	if err := at(t, server.Listener.Addr()).registryAnswers(t.Context()); err != nil {
		t.Error(err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	expectSentence(t, "another server", at(t, other.Listener.Addr()).registryAnswers(t.Context()), "does not answer as one (404 Not Found); start it, or set IMAGE_REGISTRY")

	server.Close()
	expectSentence(t, "nobody", at(t, server.Listener.Addr()).registryAnswers(t.Context()), "connection refused); start it, or set IMAGE_REGISTRY")
}

func at(t *testing.T, address net.Addr) *Cluster {
	t.Helper()
	host, err := name.NewRegistry(address.String())
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{host: host}
}

func expectSentence(t *testing.T, label string, err error, want string) {
	t.Helper()
	if err == nil {
		err = errors.New("nothing")
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s says\n%v\nwant one line with\n%s", label, err, want)
	}
}
