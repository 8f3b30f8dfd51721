package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What `trellis schema` writes is tested by test/schema; here, that it writes it.
func TestSchema(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if err := writeSchemas(&out, dir, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"core.oam.dev/application_v1beta1.json", "core.oam.dev/applicationrevision_v1beta1.json", "k8s.wasmcloud.dev/wasmcloudhostconfig_v1alpha1.json",
		"k8s.wasmcloud.dev/secretgrant_v1alpha1.json",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		text, err := os.ReadFile(file)
		if err != nil || !json.Valid(text) || !strings.Contains(out.String(), file+"\n") {
			t.Errorf("%s: %v; the command prints\n%s", name, err, &out)
		}
	}
	out.Reset()
	if err := writeSchemas(&out, "", []string{"application"}); err != nil || !json.Valid(out.Bytes()) {
		t.Errorf("print one: %v\n%.300s", err, &out)
	}
}

func TestSchema_Errors(t *testing.T) {
	for want, kinds := range map[string][]string{
		"say which kind to print (Application, ApplicationRevision, WasmCloudHostConfig, SecretGrant)": nil,
		`there is no kind "widget"`: {"widget"},
	} {
		if err := writeSchemas(&bytes.Buffer{}, "", kinds); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("kinds %v: %v, want %s", kinds, err, want)
		}
	}
}
