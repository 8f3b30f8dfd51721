// Package pages holds documents to what they say: the tests that they name exist.
package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// named is `room.TestName` or `room.TestName/case`, in code.
var named = regexp.MustCompile("`([a-z][a-z0-9]*)\\.(Test[A-Za-z0-9_]+)(?:/([^`]+))?`")

// sources are the test files of a room, as one text.
func sources(t *testing.T, room string) string {
	t.Helper()
	var files []string
	for _, folder := range []string{"internal", "internal/*", "api/wasmcloud", "charts", "test"} {
		found, err := filepath.Glob(filepath.Join(root, folder, room, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// rows are the rows of the tables of a page, without their heads.
func rows(t *testing.T, page string) (out [][]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	head := true
	for _, line := range strings.Split(string(data), "\n") {
		switch {
		case !strings.HasPrefix(line, "|"):
			head = true
		case strings.HasPrefix(line, "|---"):
			head = false
		case !head:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			out = append(out, cells)
		}
	}
	return out
}

// exist checks the tests that a text names, and says how many those are.
func exist(t *testing.T, text string) int {
	t.Helper()
	all := named.FindAllStringSubmatch(text, -1)
	for _, m := range all {
		in := sources(t, m[1])
		if !strings.Contains(in, "\nfunc "+m[2]+"(t *testing.T)") {
			t.Errorf("there is no %s in a folder %s", m[2], m[1])
		}
		if m[3] != "" && !strings.Contains(in, m[3]) {
			t.Errorf("%s in folder %s has no case %q", m[2], m[1], m[3])
		}
	}
	if text != "" && strings.Count(text, ".Test") != len(all) {
		t.Errorf("something in %q looks like a test and is not written as one", text)
	}
	return len(all)
}

// TestUpstreamsTests: every test of wadm has one of ours, or a reason.
func TestUpstreamsTests(t *testing.T) {
	const upstream = 8 + 10 + 10 + 10 + 56 // API, validation, consumers and storage, end to end, units
	seen := map[string]bool{}
	lines := 0
	for _, row := range rows(t, "docs/spec/wadm-tests.md") {
		if len(row) != 2 || seen[row[0]] {
			t.Errorf("the row %q has not two cells, or comes twice", row)
			continue
		}
		seen[row[0]] = true
		if strings.Contains(row[0], ".yaml") {
			continue // a manifest, see below
		}
		lines++
		reason := regexp.MustCompile(`^(as (the line above|provider spread)|not kept)`).MatchString(row[1])
		if exist(t, row[1]) == 0 && !reason {
			t.Errorf("%s: neither a test nor a reason: %s", row[0], row[1])
		}
	}
	if lines != upstream {
		t.Errorf("the page has %d of upstream's tests, there are %d", lines, upstream)
	}
}

// TestUpstreamsManifests: the page gives each of wadm's manifests an outcome.
func TestUpstreamsManifests(t *testing.T) {
	var listed []string
	for _, row := range rows(t, "docs/spec/wadm-tests.md") {
		if strings.Contains(row[0], ".yaml") {
			listed = append(listed, strings.Split(row[0], ", ")...)
		}
	}
	folder := filepath.Join(root, "internal/manifest/testdata/wadm")
	var there []string
	for _, pattern := range []string{"*.yaml", "*.json", "shared/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name, err := filepath.Rel(folder, file)
			if err != nil {
				t.Fatal(err)
			}
			there = append(there, filepath.ToSlash(name))
		}
	}
	slices.Sort(listed)
	slices.Sort(there)
	if !slices.Equal(listed, there) || len(there) < 40 {
		t.Errorf("the page has\n%q\nthere are\n%q", listed, there)
	}
}

// TestFaults: each fault of wadm and of wasmCloud's operator has a test that shows that ours does not have it.
func TestFaults(t *testing.T) {
	for page, faults := range map[string]int{"docs/rationale/wadm-faults.md": 36, "docs/rationale/host-faults.md": 21} {
		t.Run(filepath.Base(page), func(t *testing.T) { listsFaults(t, page, faults) })
	}
}

func listsFaults(t *testing.T, page string, faults int) {
	t.Helper()
	seen := map[string]bool{}
	for _, row := range rows(t, page) {
		if len(row) != 4 {
			t.Errorf("the row %q has not four cells", row)
			continue
		}
		seen[row[0]] = true
		if exist(t, row[3]) == 0 {
			t.Errorf("fault %s names no test: %s", row[0], row[3])
		}
	}
	for n := 1; n <= faults; n++ {
		if !seen[strconv.Itoa(n)] {
			t.Errorf("fault %d is missing", n)
		}
	}
	if len(seen) != faults {
		t.Errorf("the page has %d faults, there are %d", len(seen), faults)
	}
}

// TestReflectionFaults: so has each fault of wasmCloud's operator in exposing applications.
func TestReflectionFaults(t *testing.T) {
	var listed []string
	for _, row := range rows(t, "docs/rationale/reflection-faults.md") {
		if len(row) != 4 || exist(t, row[3]) == 0 {
			t.Errorf("the row %q has not four cells, or names no test", row)
			continue
		}
		listed = append(listed, row[0])
	}
	want := strings.Fields("R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12 R13 P1 P2 P3 P4 P6")
	if !slices.Equal(listed, want) {
		t.Errorf("the page has the faults %v, there are %v", listed, want)
	}
}

// TestThreats: each threat that is said to be stopped has a test that shows it, and each that is not says what to do.
func TestThreats(t *testing.T) {
	id := regexp.MustCompile(`^[A-Z][0-9]+$`)
	last, stopped, open := map[string]int{}, 0, 0
	for _, row := range rows(t, "docs/threat-model.md") {
		if !id.MatchString(row[0]) {
			continue // what is protected, and who acts
		}
		letter := row[0][:1]
		last[letter]++
		if row[0] != letter+strconv.Itoa(last[letter]) {
			t.Errorf("%s follows %s%d", row[0], letter, last[letter]-1)
		}
		switch {
		case letter != "R" && len(row) == 4:
			stopped++
			if exist(t, row[3]) == 0 {
				t.Errorf("threat %s names no test: %s", row[0], row[3])
			}
		case letter == "R" && len(row) == 3 && row[2] != "":
			open++
		default:
			t.Errorf("the row of %s has %d cells", row[0], len(row))
		}
	}
	if stopped < 40 || open < 10 {
		t.Errorf("the page has %d threats that are stopped and %d that are not; is it read right?", stopped, open)
	}
}
