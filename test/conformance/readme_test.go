package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The table of the README names tests and checks that there are, for every defect. It needs no control plane.
func TestTheTableNamesTests(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	checks, err := os.ReadFile("conformance_test.go")
	if err != nil {
		t.Fatal(err)
	}
	functions, err := exec.CommandContext(t.Context(), "grep", "-rhoE", "--include=*_test.go", "^func Test[A-Za-z0-9_]+", "../..").Output()
	if err != nil {
		t.Fatalf("list all tests: %v", err)
	}
	there := map[string]bool{}
	for _, line := range strings.Split(string(functions), "\n") {
		there[strings.TrimPrefix(line, "func ")] = true
	}
	const defects = 22
	for n := 1; n <= defects; n++ {
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| A%d \|[^|]*\|([^|]*)\|$`, n)).FindStringSubmatch(string(readme))
		if row == nil {
			t.Errorf("defect A%d is not in the table", n)
			continue
		}
		tests, named := regexp.MustCompile("Test[A-Za-z0-9_]+").FindAllString(row[1], -1), 0
		for _, name := range tests {
			named++
			if !there[name] {
				t.Errorf("A%d: there is no %s", n, name)
			}
		}
		for _, list := range regexp.MustCompile(`checks? ([a-z]+(?: \([^)]*\))?(?:, [a-z]+(?: \([^)]*\))?)*)`).FindAllStringSubmatch(row[1], -1) {
			for _, check := range strings.Split(regexp.MustCompile(` \([^)]*\)`).ReplaceAllString(list[1], ""), ", ") {
				named++
				if !strings.Contains(string(checks), fmt.Sprintf("{%q, check", check)) {
					t.Errorf("A%d: there is no check %q", n, check)
				}
			}
		}
		if named == 0 {
			t.Errorf("A%d names nothing that tests it: %s", n, row[1])
		}
	}
}
