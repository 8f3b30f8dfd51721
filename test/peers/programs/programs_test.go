package programs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a peer is said to be has to be what its module builds.
func TestPeers(t *testing.T) {
	for _, p := range Peers() {
		if p.Crate != "" {
			if p.Version == "" || p.Module != "" {
				t.Errorf("%s is a crate without a version, or a module too", p.Name)
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", p.Name, "go.mod"))
		if err != nil {
			t.Error(err)
			continue
		}
		_, required, found := strings.Cut(string(text), "\t"+p.Module+" v")
		if !found {
			t.Errorf("go.mod of %s does not require %s", p.Name, p.Module)
			continue
		}
		version := strings.Fields(required)[0]
		if _, said, names := strings.Cut(p.LDFlags, "version="); names && said != version {
			t.Errorf("%s calls itself %s and is %s", p.Name, said, version)
		}
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
	of := func(p Peer) string {
		t.Helper()
		k, err := key(t.Context(), folder, p)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write("go.mod", "module x\n\ngo 1.26.0\n")
	peer := Peer{Name: "x", Programs: map[string]string{"a": "a", "b": "b"}}
	first := of(peer)
	if of(peer) != first {
		t.Error("the key is not stable")
	}
	if of(Peer{Name: "x", Programs: peer.Programs, LDFlags: "-X a=b"}) == first {
		t.Error("another flag does not change the key")
	}
	write("go.sum", "more")
	if of(peer) == first {
		t.Error("another file does not change the key")
	}
}

func TestPath(t *testing.T) {
	sources, root := t.TempDir(), t.TempDir()
	folder := filepath.Join(sources, "x")
	if err := os.MkdirAll(filepath.Join(folder, "definitions"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/x\n\ngo 1.26.0\n")
	write("main.go", "package main\n\nfunc main() {}\n")
	write("definitions/a.yaml", "a: b\n")
	cache := &Cache{root: root, sources: sources, report: t.Logf}
	peer := Peer{Name: "x", Module: "example.com/x", Programs: map[string]string{"program": "."}, Definitions: "definitions"}
	path, err := cache.Path(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"program", "crds/a.yaml"} {
		if _, err := os.Stat(filepath.Join(path, name)); err != nil {
			t.Error(err)
		}
	}
	if again, err := cache.Path(t.Context(), peer); err != nil || again != path {
		t.Errorf("a second time: %s, %v", again, err)
	}
	write("main.go", "package main\n\nfunc main() { nonsense }\n")
	if _, err := cache.Path(t.Context(), peer); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a build that fails does not say why: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "x", "building-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}
