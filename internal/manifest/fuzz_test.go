package manifest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

var documents = []string{
	`{}`, `[]`, `null`, `"x"`, `1`, `-0`, `1e400`, `1.50`, `12345678901234567890`, `{"a":{"a":[{"b":null}]}}`, `{"a":1,"a":2}`, `{"a":1} x`, `[1,]`,
	`{"":""}`, "\"\\ud800\"", "\xff", `{"a":`, strings.Repeat("[", MaxDepth+2) + strings.Repeat("]", MaxDepth+2), ` [ 1 , 2 ] `, "\ufeff{}",
}

// What decodeJSON takes is JSON and means what encoding/json says; what it refuses beyond that is too deep or says
// something twice.
func FuzzDecodeJSON(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeJSON(data)
		if err != nil {
			return
		}
		var want any
		if err := unmarshalNumbers(data, &want); err != nil {
			t.Fatalf("taken, but encoding/json says %v", err)
		}
		if !json.Valid(data) {
			t.Fatal("taken, but not JSON")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-encoding/json +got:\n%s", diff)
		}
		if depth(got) > MaxDepth {
			t.Errorf("%d levels", depth(got))
		}
	})
}

// What decodeYAML takes has the form of JSON, within the limits.
func FuzzDecodeYAML(f *testing.F) {
	for _, d := range append(documents, "a: b", "- a\n- b", "a: &x [1]\nb: *x", "? a\n: b", "1: x", "a: 0x1f\nb: 1_0\nc: .inf\nd: 2001-01-01\ne: yes", "<<: {a: b}\nc: d",
		"a: !!binary aGk=", "&a a: *a", "--- a\n--- b", "a: |\n  x", "!!map {}", "a: ~", "{a: 1, a: 2}", "&x [*x]") {
		f.Add([]byte(d))
	}
	f.Add([]byte(bomb()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > MaxBytes {
			return
		}
		got, err := decodeYAML(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("no JSON: %v", err)
		}
		var again any
		if err := unmarshalNumbers(text, &again); err != nil {
			t.Fatal(err)
		}
		if d := depth(got); d > MaxDepth {
			t.Errorf("%d levels", d)
		}
	})
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			deepest = max(deepest, depth(inner)+1)
		}
	case []any:
		for _, inner := range v {
			deepest = max(deepest, depth(inner)+1)
		}
	}
	return deepest
}

// Properties of a trait are anybody's bytes, and nobody but these readers looks at them: they are refused on a field
// below the properties, or what they say is usable.
func FuzzTrait(f *testing.F) {
	for _, d := range []string{
		`{"instances":1}`, `{"replicas":4294967295,"spread":[{"name":"a","weight":0},{"name":"b","requirements":{"zone":"x"}}]}`,
		`{"instances":1,"replicas":1}`, `{"instances":-1}`, `{"instances":1.0}`, `{"instances":1,"spread":[{"name":"a","weight":18446744073709551615}]}`,
		`{"namespace":"wasi","package":"http","interfaces":["incoming-handler"],"target":"b","source_config":[{"name":"c","properties":{"address":"0.0.0.0:1"}}]}`,
		`{"namespace":"wasi","package":"http","interfaces":["incoming-handler"],"target":{"name":"b","config":[{"name":"c","properties":{}}],"secrets":[{"name":"s","properties":{"policy":"p","key":"k"}}]},"source":{}}`,
		`{"namespace":1}`, `{"namespace":"","package":"","interfaces":[],"target":null,"name":null}`, `{"target":{"name":"x"}}`, `null`, `[]`, `{"a":`,
	} {
		f.Add(d, "link")
		f.Add(d, "spreadscaler")
		f.Add(d, "daemonscaler")
		f.Add(d, "linkdef")
	}
	f.Fuzz(func(t *testing.T, raw, kind string) {
		if !json.Valid([]byte(raw)) || !json.Valid(marshal(kind)) {
			return // what is not JSON never gets here
		}
		app := &v1beta1.Application{}
		app.Name = "app"
		trait := v1beta1.Trait{Type: kind, Properties: &apiextensionsv1.JSON{Raw: []byte(raw)}}
		app.Spec.Components = []v1beta1.Component{
			{Name: "a", Type: TypeCapability, Properties: v1beta1.ComponentProperties{Image: "x/http-server:1"}, Traits: []v1beta1.Trait{trait}},
			{Name: "b", Type: TypeComponent, Properties: v1beta1.ComponentProperties{Image: "x"}},
		}
		app.Spec.Policies = []v1beta1.Policy{{Name: "p", Type: SecretPolicyType, Properties: map[string]string{"backend": "b"}}}
		errs, _ := Validate(app)
		for _, e := range errs {
			if !strings.HasPrefix(e.Field, "spec.components[0].traits[0]") {
				t.Errorf("error on %s", e.Field)
			}
		}
		model := Parse(app.Name, &app.Spec)
		for _, p := range model.Problems {
			if len(errs) == 0 && !p.Harmless {
				t.Errorf("valid, but the model has the problem %q", p.Text)
			}
		}
		_ = WadmFindings(app)
		first, err := Digest(&app.Spec)
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(raw)); err != nil {
			t.Fatal(err)
		}
		app.Spec.Components[0].Traits[0].Properties.Raw = compact.Bytes()
		if second, _ := Digest(&app.Spec); first != second {
			t.Error("blanks change the digest")
		}
	})
}

func marshal(s string) []byte {
	data, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return data
}

// Two names that OAM and Kubernetes both call a key are one token each; what is refused has a reason in the grammar.
func FuzzOAMKey(f *testing.F) {
	for _, key := range []string{"", "a", "a/b", "/", "a/", "a/b/c", "a.b-c/d_e.f", "1a/b", "-a", "a-", strings.Repeat("a", 64), "ü"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if oamKey(key) && (key == "" || strings.Count(key, "/") > 1 || strings.ContainsAny(key, " \n\x00") || len(key) > 317) {
			t.Errorf("%q is a key", key)
		}
	})
}
