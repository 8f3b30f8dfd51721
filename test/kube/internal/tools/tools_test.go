package tools

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sources = "../../tools"

func TestAll_HaveSources(t *testing.T) {
	for _, tool := range All() {
		if _, err := os.Stat(filepath.Join(sources, tool.Name, "go.mod")); err != nil {
			t.Errorf("%s: %v", tool.Name, err)
		}
	}
}

// The version that the binaries report has to be the one they are built from.
func TestVersion(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(sources, Kubernetes, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), "k8s.io/kubernetes "+Version+"\n") {
		t.Errorf("tools/kubernetes/go.mod does not require k8s.io/kubernetes %s", Version)
	}
}

func TestKey(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := func(tool Tool, version string) string {
		t.Helper()
		key, err := tool.key(folder, version)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	write("go.mod", "module x")
	write("main.go", "package main")
	tool := Tool{Name: "x", Packages: []string{"."}}
	first := key(tool, "go1")
	write("notes.txt", "no source")
	if key(tool, "go1") != first {
		t.Error("a file that is no source changes the key")
	}
	if key(tool, "go2") == first {
		t.Error("another Go version does not change the key")
	}
	if key(Tool{Name: "x", Packages: []string{"."}, LDFlags: []string{"-X a=b"}}, "go1") == first {
		t.Error("another flag does not change the key")
	}
	write("main.go", "package main // changed")
	if key(tool, "go1") == first {
		t.Error("a changed source does not change the key")
	}
}

type silent struct{}

func (silent) Step(_ string, f func() error) error { return f() }
func (silent) Note(string, ...any)                 {}

func TestPath(t *testing.T) {
	checkout, root := t.TempDir(), t.TempDir()
	folder := filepath.Join(checkout, "x")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"go.mod": "module x\n\ngo 1.26.0\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cache := &Cache{root: root, sources: checkout, goVer: "test"}
	tool := Tool{Name: "x", What: "x", Packages: []string{"."}, Binary: "x", Links: []string{"y"}}
	path, err := cache.Path(context.Background(), tool, silent{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x", "y"} {
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte("package main\n\nfunc main() { nonsense }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Path(context.Background(), tool, silent{}); err == nil || !strings.Contains(err.Error(), "build-x.log") {
		t.Errorf("a build that fails does not name its log: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "building-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}
