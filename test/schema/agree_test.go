// Package schema tests that the JSON Schemas which `trellis schema` writes and the API server agree.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/apiserver/openapi"
	"github.com/trellis-operator/trellis/internal/manifest"
	"github.com/trellis-operator/trellis/internal/schema"
)

// applicationSchema is the schema of Application as a validator.
func applicationSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	documents, err := schema.Documents(openapi.Definitions)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		if d.Kind != "Application" {
			continue
		}
		parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.JSON))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource(d.File(), parsed); err != nil {
			t.Fatal(err)
		}
		compiled, err := compiler.Compile(d.File())
		if err != nil {
			t.Fatal(err)
		}
		return compiled
	}
	t.Fatal("there is no schema of Application")
	return nil
}

// conforms asks the schema about a manifest, JSON.
func conforms(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

// served asks what the API server asks of a manifest that kubectl sends, but for the metadata that all kinds have.
func served(text []byte) error {
	var app oam.Application
	strict, err := kjson.UnmarshalStrict(text, &app)
	if err = errors.Join(append(strict, err)...); err != nil {
		return err
	}
	if app.APIVersion != oam.SchemeGroupVersion.String() || app.Kind != "Application" {
		return errors.New("another kind")
	}
	if app.Name == "" && app.GenerateName == "" {
		return errors.New("metadata.name is missing")
	}
	refused, _ := manifest.Validate(&app)
	if len(refused) == 0 {
		return nil
	}
	return refused.ToAggregate()
}

// fixtures are the manifests of the examples and wadm's own, as JSON; wadm does not look at apiVersion and kind, so they are
// put right.
func fixtures(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{
		"testdata/good/app*.yaml", "../../examples/hello/app*.yaml", "../../examples/gateway/app*.yaml", "../../internal/manifest/testdata/*.yaml", "../../internal/manifest/testdata/wadm/*.yaml",
		"../../internal/manifest/testdata/wadm/*.json", "../../internal/manifest/testdata/wadm/shared/*.yaml",
	} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			object := map[string]any{}
			if err := yaml.UnmarshalStrict(text, &object); err != nil {
				continue // a fixture of what no parser takes
			}
			object["apiVersion"], object["kind"] = oam.SchemeGroupVersion.String(), "Application"
			if out[strings.TrimPrefix(file, "../../")], err = json.Marshal(object); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(out) < 45 {
		t.Fatalf("only %d fixtures found", len(out))
	}
	return out
}

// beyond are the server's reasons that no JSON Schema can say: they are about two parts of a manifest, or about sizes after
// encoding.
var beyond = []string{
	"Duplicate", "no component of this name", "same id in the lattice", "missing from the manifest", "one scaler",
	"unknown policy", "not a secret policy", "'backend' property", "with other values", "used by this very name",
	"references to secrets", "already listens", "all weights are 0", "overlap", "the id ", "not both",
}

// agree checks a manifest by both. What the server accepts, the schema must; what the server refuses for its shape, too.
func agree(t *testing.T, s *jsonschema.Schema, name string, text []byte) (accepted bool) {
	t.Helper()
	refused, wrong := served(text), conforms(t, s, text)
	switch {
	case refused == nil && wrong != nil:
		t.Errorf("%s: the API server accepts it, the schema says %v\n%s", name, wrong, text)
	case refused != nil && wrong == nil && !slices.ContainsFunc(beyond, func(s string) bool { return strings.Contains(refused.Error(), s) }):
		t.Errorf("%s: the schema accepts it, the API server says %v\n%s", name, refused, text)
	}
	return refused == nil
}

func TestFixturesAgree(t *testing.T) {
	s, accepted := applicationSchema(t), 0
	for name, text := range fixtures(t) {
		if agree(t, s, name, text) {
			accepted++
		}
	}
	if accepted < 25 {
		t.Errorf("only %d fixtures are accepted: the others prove little", accepted)
	}
}

// Manifests with one change anywhere in what is the application's own: a field less, a field renamed, a value of another
// kind.
func TestChangedManifestsAgree(t *testing.T) {
	s := applicationSchema(t)
	all := fixtures(t)
	var bases [][]byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if served(all[name]) == nil && len(all[name]) < 16<<10 {
			bases = append(bases, all[name])
		}
	}
	const tries = 3000
	m := &changer{rand.New(rand.NewPCG(1, 2))}
	accepted := 0
	for i := range tries {
		object := map[string]any{}
		if err := json.Unmarshal(bases[m.IntN(len(bases))], &object); err != nil {
			t.Fatal(err)
		}
		object["spec"] = m.change(object["spec"])
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if agree(t, s, fmt.Sprintf("change %d", i), text) {
			accepted++
		}
	}
	t.Logf("%d of %d changed manifests are accepted", accepted, tries)
	if accepted < tries/20 || accepted > tries*19/20 {
		t.Errorf("%d of %d are accepted: the changes prove little", accepted, tries)
	}
}

type changer struct{ *rand.Rand }

// words are values and names that mean something somewhere.
var words = []any{
	nil, true, "", "x", "x y", "a.b", "link", "spreadscaler", "daemonscaler", "component", "actor", "capability", strings.Repeat("x", 254),
	json.Number("0"), json.Number("-1"), json.Number("1.5"), json.Number("4294967295"), json.Number("4294967296"), json.Number("1e400"),
	[]any{}, map[string]any{}, []any{"x"}, map[string]any{"name": "x"}, map[string]any{"x": json.Number("1")},
}

var members = []any{
	"name", "type", "image", "id", "application", "component", "config", "secrets", "properties", "traits", "instances", "replicas",
	"spread", "weight", "requirements", "target", "source", "source_config", "target_config", "namespace", "package", "interfaces",
	"policy", "key", "field", "version", "policies", "odd",
}

func (m *changer) change(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return m.changeObject(v)
	case []any:
		if len(v) > 0 && m.IntN(8) > 0 {
			i := m.IntN(len(v))
			v[i] = m.change(v[i])
			return v
		}
	}
	return words[m.IntN(len(words))]
}

func (m *changer) changeObject(v map[string]any) any {
	keys := slices.Sorted(maps.Keys(v))
	switch n := m.IntN(12); {
	case n == 0:
		return words[m.IntN(len(words))]
	case n == 1 || len(keys) == 0:
		v[members[m.IntN(len(members))].(string)] = words[m.IntN(len(words))]
	case n == 2:
		delete(v, keys[m.IntN(len(keys))])
	case n == 3:
		key := keys[m.IntN(len(keys))]
		v[members[m.IntN(len(members))].(string)] = v[key]
		delete(v, key)
	default:
		key := keys[m.IntN(len(keys))]
		v[key] = m.change(v[key])
	}
	return v
}
