package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trellis-operator/trellis/internal/apiserver/openapi"
	"github.com/trellis-operator/trellis/internal/schema"
)

// result is what kubeconform says of one manifest.
type result struct {
	Filename string `json:"filename"`
	Status   string `json:"status"`
	Message  string `json:"msg"`
}

// kubeconform checks files and folders against our schemas, as docs/gitops.md says.
func kubeconform(t *testing.T, paths ...string) map[string]result {
	t.Helper()
	dir := t.TempDir()
	documents, err := schema.Documents(openapi.Definitions)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		file := filepath.Join(dir, filepath.FromSlash(d.File()))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, d.JSON, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{
		"tool", "-modfile=../../hack/tools/go.mod", "kubeconform", "-strict", "-output", "json", "-verbose",
		"-schema-location", dir + "/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json",
	}, paths...)
	var out, said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	ran := cmd.Run() // 1 says that a manifest is wrong
	var answer struct {
		Resources []result `json:"resources"`
	}
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		t.Fatalf("kubeconform: %v: %v\n%s%s", ran, err, &out, &said)
	}
	results := map[string]result{}
	for _, r := range answer.Resources {
		results[r.Filename] = r
	}
	return results
}

// What is right passes: the examples, what internal/manifest has for right, and every fixture of wadm that the API server
// accepts.
func TestKubeconformAccepts(t *testing.T) {
	dir, want := t.TempDir(), 0
	for name, text := range fixtures(t) {
		if served(text) != nil {
			continue
		}
		want++
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%s.json", want, filepath.Base(name))), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	others := []string{
		"../../examples/hello/application.yaml", "../../examples/hello/application-spread.yaml", "../../examples/hello/hostconfig.yaml", "../../examples/gateway/application.yaml",
		"../../internal/hostgroup/testdata/full.input.yaml", "testdata/good/application.yaml",
	}
	results := kubeconform(t, append(others, dir)...)
	for file, r := range results {
		if r.Status != "statusValid" {
			t.Errorf("%s: %s: %s", file, r.Status, r.Message)
		}
	}
	if len(results) != want+len(others) {
		t.Errorf("kubeconform has checked %d manifests, want %d", len(results), want+len(others))
	}
}

// What is wrong fails, each with a line that names the field: the file says which in its first line.
func TestKubeconformRefuses(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d broken manifests: %v", len(files), err)
	}
	results := kubeconform(t, "testdata/broken")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		wants, ok := strings.CutPrefix(first, "# wants: ")
		if !ok {
			t.Fatalf("%s does not say what it wants", file)
		}
		if r := results[file]; r.Status != "statusInvalid" && r.Status != "statusError" || !strings.Contains(r.Message, wants) {
			t.Errorf("%s: %s: %s\nwant %s", file, r.Status, r.Message, wants)
		}
	}
}
