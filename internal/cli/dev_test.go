package cli

import (
	"os"
	"strings"
	"testing"
)

func TestDevStateIsForOneProcess(t *testing.T) {
	dir := t.TempDir()
	first, err := openDevState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDevState(dir); err == nil || !strings.Contains(err.Error(), "another `trellis dev`") {
		t.Errorf("a second use of the folder = %v; want an error that says so", err)
	}
	id, err := first.clusterID()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openDevState(dir)
	if err != nil {
		t.Fatalf("open after the first ended: %v", err)
	}
	defer func() { _ = again.close() }()
	if kept, err := again.clusterID(); err != nil || kept != id {
		t.Errorf("cluster id after a restart = %q, %v; want %q", kept, err, id)
	}
}

func TestFindHost_Errors(t *testing.T) {
	if _, err := findHost(t.TempDir() + "/nowhere"); err == nil || !strings.Contains(err.Error(), "--host-binary") {
		t.Errorf("findHost of a file that is not there = %v; want an error that names the flag", err)
	}
}

func TestDecodeDocuments(t *testing.T) {
	objects, err := decodeDocuments([]byte("---\n# nothing\n---\nkind: A\n---\nkind: B\n"))
	if err != nil || len(objects) != 2 || objects[1].GetKind() != "B" {
		t.Errorf("decodeDocuments = %v, %v; want A and B", objects, err)
	}
	if _, err := decodeDocuments([]byte("kind: A\n---\n[1")); err == nil || !strings.Contains(err.Error(), "document 2") {
		t.Errorf("a broken second document = %v; want an error that names it", err)
	}
}

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{
		"0.0.0.0:8080": "localhost:8080", "[::]:8080": "localhost:8080", "127.0.0.1:9": "127.0.0.1:9", "nonsense": "",
	} {
		if got := reachable(address); got != want {
			t.Errorf("reachable(%q) = %q; want %q", address, got, want)
		}
	}
}

func TestTail(t *testing.T) {
	path := t.TempDir() + "/log"
	if err := os.WriteFile(path, []byte("a\nb\nc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tail(path, 2); got != "b\nc" {
		t.Errorf("tail = %q; want the last two lines", got)
	}
}
