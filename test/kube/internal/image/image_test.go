package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable() // a real program for this platform
	if err != nil {
		t.Fatal(err)
	}
	return self
}

func TestBuild(t *testing.T) {
	spec := Spec{
		Ref: "example.test/thing:1", Programs: map[string]string{"/usr/local/bin/thing": program(t)},
		Files: map[string]string{"/etc/thing.conf": "a: b"}, Links: map[string]string{"/usr/local/bin/other": "/usr/local/bin/thing"}, Entrypoint: []string{"/usr/local/bin/thing"}, Cmd: []string{"serve"},
	}
	img, err := Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := img.Digest()
	second, _ := again.Digest()
	if first != second || first == (v1.Hash{}) {
		t.Errorf("two builds of one spec differ: %s and %s", first, second)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"65532:65532", "/usr/local/bin/thing", "serve"}, []string{config.Config.User, config.Config.Entrypoint[0], config.Config.Cmd[0]}); diff != "" {
		t.Error(diff)
	}
	modes := entries(t, img)
	want := map[string]int64{"tmp/": 0o1777, "home/nonroot/": 0o755, "etc/thing.conf": 0o644, "etc/passwd": 0o644, "usr/local/bin/": 0o755, "usr/local/bin/thing": 0o755, "usr/local/bin/other": 0o777}
	for name, mode := range want {
		if modes[name] != mode {
			t.Errorf("%s has mode %o, want %o", name, modes[name], mode)
		}
	}
}

// entries returns the modes of an image's files, and fails when a folder comes
// after what is in it.
func entries(t *testing.T, img v1.Image) map[string]int64 {
	t.Helper()
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	modes := map[string]int64{}
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return modes
		}
		if err != nil {
			t.Fatal(err)
		}
		if parent := filepath.Dir(strings.TrimSuffix(header.Name, "/")); parent != "." && modes[parent+"/"] == 0 {
			t.Errorf("%s comes before its folder", header.Name)
		}
		modes[header.Name] = header.Mode
	}
}

func TestBuild_Errors(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"missing": "/nonexistent/program", "not a program": script} {
		if _, err := Build(Spec{Ref: "x:1", Programs: map[string]string{"/x": file}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseLdd(t *testing.T) {
	const output = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"
	got, err := parseLdd(output)
	if diff := cmp.Diff([]string{"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := parseLdd("\tlibz.so.1 => not found\n"); err == nil {
		t.Error("a missing library is no error")
	}
}

func TestProject(t *testing.T) {
	var refs []string
	for _, spec := range Project("1", "t", "h", "") {
		refs = append(refs, spec.Ref)
	}
	for _, spec := range Project("1", "", "", "host") {
		refs = append(refs, spec.Ref)
	}
	if diff := cmp.Diff([]string{Trellis + ":1", Host + ":1"}, refs); diff != "" {
		t.Error(diff)
	}
}

func TestTag(t *testing.T) {
	folder := t.TempDir()
	one, two := filepath.Join(folder, "one"), filepath.Join(folder, "two")
	for path, content := range map[string]string{one: "a", two: "b"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, err1 := Tag(one, "", two)
	second, err2 := Tag(two, "", two)
	if err1 != nil || err2 != nil || first == second || !strings.HasPrefix(first, "dev-") {
		t.Errorf("%q %v, %q %v", first, err1, second, err2)
	}
}

func TestNewComponent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hello.wasm")
	if err := os.WriteFile(path, []byte("\x00asm\x0d\x00\x01\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	component, err := NewComponent(path)
	if err != nil {
		t.Fatal(err)
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(component.manifest, &manifest); err != nil {
		t.Fatal(err)
	}
	got := []string{string(manifest.MediaType), string(manifest.Config.MediaType), string(manifest.Layers[0].MediaType)}
	want := []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.wasm.config.v0+json", "application/wasm"}
	if diff := cmp.Diff(want, got); diff != "" || len(manifest.Layers) != 1 {
		t.Error(diff)
	}
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewComponent(path); err == nil {
		t.Error("a text is taken for a component")
	}
}
