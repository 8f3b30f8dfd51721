package policy_test

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
)

const page = "../../docs/spec/expose-policy.md"

// TestPage: the examples of the page are read without a problem, and use every property that the page lists.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(text), "```yaml\n")[1:]
	if len(examples) != 3 {
		t.Fatalf("the page has %d examples", len(examples))
	}
	used := map[string]bool{}
	for _, example := range examples {
		body, _, _ := strings.Cut(example, "```")
		var app v1beta1.Application
		if err := yaml.UnmarshalStrict([]byte(body), &app); err != nil {
			t.Fatal(err)
		}
		settings, problems := policy.Read(app.Name, &app.Spec)
		if settings == nil || len(problems) > 0 {
			t.Errorf("%s: %v", app.Name, problems)
		}
		for _, p := range app.Spec.Policies {
			for name := range p.Properties {
				used[name] = true
			}
		}
	}
	table, _, _ := strings.Cut(strings.SplitN(string(text), "## Properties", 2)[1], "###")
	listed := 0
	for _, line := range strings.Split(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, name := range strings.Split(cells[1], ",") {
			name = strings.Trim(name, " `")
			if strings.Contains(name, "[]") {
				continue
			}
			listed++
			if !used[name] {
				t.Errorf("no example uses %s", name)
			}
		}
	}
	// The reader says itself which properties it has.
	_, problems := policy.Read("app", &v1beta1.ApplicationSpec{Policies: []v1beta1.Policy{{Name: "p", Type: policy.ExposeType, Properties: map[string]string{"?": ""}}}})
	if _, all, found := strings.Cut(problems[0].Text, "it has "); !found || len(strings.Split(all, ", ")) != listed {
		t.Errorf("the page lists %d properties, the reader has %s", listed, all)
	}
}
