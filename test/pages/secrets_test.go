package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

const secretsPage = "docs/spec/secrets.md"

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// section is what stands under a heading, up to the next one of any level.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, after, found := strings.Cut(text, "\n"+heading+"\n")
	if !found {
		t.Fatalf("there is no heading %q", heading)
	}
	body, _, _ := strings.Cut(after, "\n#")
	return body
}

// spans are the texts in code of one column of the tables of a section.
func spans(text string, column int) (out []string) {
	for _, line := range strings.Split(text, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) <= column+1 || !strings.HasPrefix(line, "|") {
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[column+1], -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// objects are those of the examples of a page.
func objects(t *testing.T, text string) (out []any) {
	t.Helper()
	for _, example := range strings.Split(text, "```yaml\n")[1:] {
		body, _, _ := strings.Cut(example, "```")
		for _, document := range strings.Split(body, "---\n") {
			var kind struct{ Kind string }
			if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
				t.Fatal(err)
			}
			object := map[string]any{
				"Application": &v1beta1.Application{}, "SecretGrant": &v1alpha1.SecretGrant{}, "Secret": &corev1.Secret{},
				"ServiceAccount": &corev1.ServiceAccount{}, "Role": &rbacv1.Role{}, "RoleBinding": &rbacv1.RoleBinding{},
				// The real External Secrets is given these by test/peers.
				"SecretStore": &unstructured.Unstructured{}, "ExternalSecret": &unstructured.Unstructured{},
			}[kind.Kind]
			if object == nil {
				t.Fatalf("an example is of kind %q", kind.Kind)
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				t.Fatalf("%s: %v\n%s", kind.Kind, err, document)
			}
			out = append(out, object)
		}
	}
	return out
}

// TestSecretExamples: every object of the page is one that the cluster takes, and each secret in it one that can be read.
func TestSecretExamples(t *testing.T) {
	used := map[string]bool{}
	applications, grants := 0, 0
	for _, object := range objects(t, page(t, secretsPage)) {
		switch o := object.(type) {
		case *v1beta1.Application:
			applications++
			readable(t, o, used)
		case *v1alpha1.SecretGrant:
			grants++
		}
	}
	if applications < 4 || grants == 0 {
		t.Errorf("the page has %d applications and %d grants", applications, grants)
	}
	for _, name := range []string{policy.BackendProperty, "namespace", "serviceAccount", "encoding", "rotation"} {
		if !used[name] {
			t.Errorf("no example uses %s", name)
		}
	}
}

func readable(t *testing.T, app *v1beta1.Application, used map[string]bool) {
	t.Helper()
	if errs, warnings := manifest.Validate(app); len(errs)+len(warnings) > 0 {
		t.Errorf("%s: %v %q", app.Name, errs, warnings)
	}
	references := manifest.SecretReferences(&app.Spec)
	if len(references) == 0 {
		t.Errorf("%s references no secret", app.Name)
	}
	for _, r := range references {
		if _, problems := r.Source(app.Namespace); len(problems) > 0 || len(r.Receivers) == 0 || r.Backend != policy.Backend || r.Field == "" {
			t.Errorf("%s: nobody can read %+v: %v", app.Name, r, problems)
		}
		used[policy.BackendProperty] = true
		for name := range r.Properties {
			used[name] = true
		}
	}
}

// TestSecretTables: the page has the properties, answers and fields that there are.
func TestSecretTables(t *testing.T) {
	text := page(t, secretsPage)
	_, problems := policy.ReadSecret("a", map[string]string{"?": ""})
	_, all, _ := strings.Cut(problems[0].Text, "there are ")
	listed := spans(section(t, text, "## Properties"), 0)
	for _, name := range strings.Split(all, ", ") {
		if !slices.Contains(listed, name) {
			t.Errorf("property %s of the policy is not listed in %q", name, listed)
		}
	}
	listed = spans(section(t, text, "## When a host asks"), 0)
	for _, kind := range []secrets.Kind{
		secrets.SecretNotFound, secrets.InvalidXKey, secrets.EncryptionError, secrets.DecryptionError, secrets.Unauthorized, secrets.InvalidRequest,
		secrets.InvalidPayload, secrets.InvalidHeaders, secrets.InvalidEntityJWT, secrets.InvalidHostJWT, secrets.UpstreamError, secrets.PolicyError, secrets.Other,
	} {
		if !slices.Contains(listed, string(kind)) {
			t.Errorf("answer %s is not listed in %q", kind, listed)
		}
	}
	listed = spans(section(t, text, "## The audit line"), 0)
	fields := auditFields()
	slices.Sort(fields)
	slices.Sort(listed)
	if !slices.Equal(fields, listed) {
		t.Errorf("the page has the fields\n%q, the line has\n%q", listed, fields)
	}
}

// auditFields are those of the line of the log that is written of each request.
func auditFields() (fields []string) {
	var line string
	secrets.NewLogAuditor(funcr.New(func(_, l string) { line = l }, funcr.Options{})).Decided(secrets.Decision{})
	for _, m := range regexp.MustCompile(`"([A-Za-z]+)"=`).FindAllStringSubmatch(line, -1) {
		if m[1] != "level" && m[1] != "msg" {
			fields = append(fields, m[1])
		}
	}
	return fields
}
