package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretReasons: what the runbook says that stands in the log is what the operator says.
func TestSecretReasons(t *testing.T) {
	words := code(t, "internal/grants/*.go", "internal/secrets/*.go", "internal/cli/serve_secrets*.go")
	text := page(t, "docs/runbook-secrets.md")
	count := 0
	for _, heading := range []string{"## Look", "## Denied", "## Missing", "## Nothing answers"} {
		for _, said := range spans(section(t, text, heading), 0) {
			for _, part := range strings.Split(said, "…") {
				if part = strings.TrimSpace(part); len(part) < 4 || part == "reason" {
					continue // between two names, or the head of the table
				}
				if count++; !strings.Contains(words, part) {
					t.Errorf("%s: nobody says %q", heading, part)
				}
			}
		}
	}
	if count < 30 {
		t.Errorf("the runbook has %d texts; is it read right?", count)
	}
}

// code is that of the files of some patterns, with … for what its texts are given.
func code(t *testing.T, patterns ...string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
	}
	return strings.NewReplacer("%q", "…", "%s", "…", "%d", "…").Replace(all.String())
}
