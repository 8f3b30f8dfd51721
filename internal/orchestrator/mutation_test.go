package orchestrator

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	plant = flag.Int("mutants", 0, "plant so many of the mutants, beginning with another one each day, and let the histories find them")
	quick = flag.Bool("noshrink", false, "do not shrink a history that fails")
)

// foundAfter is what a run of the histories says when it found something.
var foundAfter = regexp.MustCompile(`history \d+ (?:breaks an invariant|failed) after (\d+) histories[^:]*: ([^:]+)`)

// TestMutants holds each mutant to the text that it changes, and plants as many of them as it is asked to: the histories
// must find each within as many as the check runs.
func TestMutants(t *testing.T) {
	first := int(time.Now().Unix()/(24*60*60)) % len(mutants)
	for i, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			overlay := m.overlay(t)
			if (i-first+len(mutants))%len(mutants) < *plant {
				findMutant(t, overlay)
			}
		})
	}
}

const moduleRoot = "../.."

// overlay writes the changed files and says where they are, in the form that the go command reads.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	dir, changed := t.TempDir(), map[string]string{}
	for _, e := range m.edits {
		path, err := filepath.Abs(filepath.Join(moduleRoot, e.file))
		if err != nil {
			t.Fatal(err)
		}
		from := path
		if before := changed[path]; before != "" {
			from = before
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			t.Fatalf("%s has this text %d times, want once; write the mutant anew:\n%s", e.file, n, e.old)
		}
		changed[path] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(changed[path], []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": changed})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// findMutant runs the histories with the mutant in place.
func findMutant(t *testing.T, overlay string) {
	t.Helper()
	began := time.Now()
	out, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-overlay="+overlay, "-run=TestHistories$", "-timeout=5m",
		".", "-histories=20000", "-noshrink").CombinedOutput()
	found := foundAfter.FindSubmatch(out)
	if err == nil || found == nil {
		t.Fatalf("not found; the histories say %v and:\n%s", err, out)
	}
	t.Logf("found after %s histories, %s: %s", found[1], time.Since(began).Round(time.Second), found[2])
}
