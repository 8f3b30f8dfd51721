package manifest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// seen is all that this package says about a manifest.
type seen struct {
	DecodeError string    `json:"decodeError,omitempty"`
	Wadm        []Finding `json:"wadm,omitempty"`
	Errors      []string  `json:"errors,omitempty"`
	Warnings    []string  `json:"warnings,omitempty"`
	Model       *Model    `json:"model,omitempty"`
}

func look(data []byte) seen {
	app, err := DecodeWadm("", data)
	if err != nil {
		return seen{DecodeError: err.Error()}
	}
	s := seen{Wadm: WadmFindings(app), Model: Parse(app.Name, &app.Spec)}
	errs, warnings := Validate(app)
	for _, e := range errs {
		s.Errors = append(s.Errors, e.Error())
	}
	s.Warnings = warnings
	return s
}

func manifests(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"testdata/wadm/*.yaml", "testdata/wadm/*.json", "testdata/wadm/shared/*.yaml", "testdata/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 45 {
		t.Fatalf("only %d manifests found", len(files))
	}
	return files
}

func TestGolden(t *testing.T) {
	for _, file := range manifests(t) {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(look(data)); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "golden", strings.ReplaceAll(strings.TrimPrefix(file, "testdata/"), "/", "-")+".json")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got (go test -update rewrites):\n%s", diff)
			}
		})
	}
}
