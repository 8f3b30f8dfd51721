package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRepository(t *testing.T) {
	for ref, want := range map[string]string{
		"ghcr.io/trellis-operator/hello:0.1.0": "trellis-operator/hello:0.1.0",
		"localhost/hello:1":                    "hello:1",
		"10.0.0.1:5000/a/b:1":                  "a/b:1",
		"trellis-operator/hello:0.1.0":         "trellis-operator/hello:0.1.0",
		"hello":                                "hello",
	} {
		if got := repository(ref); got != want {
			t.Errorf("%s: %s", ref, got)
		}
	}
}

func TestFindCheckout(t *testing.T) {
	root := t.TempDir()
	below := filepath.Join(root, "test", "kube")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(root, "go.mod"):  "module github.com/trellis-operator/trellis\n",
		filepath.Join(below, "go.mod"): "module github.com/trellis-operator/trellis/test/kube\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(below)
	got, err := findCheckout()
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := filepath.EvalSymlinks(root); got != want && got != root {
		t.Errorf("got %s, want %s", got, root)
	}
	t.Chdir(t.TempDir())
	if _, err := findCheckout(); err == nil {
		t.Error("a folder outside of any checkout is taken for one")
	}
}
