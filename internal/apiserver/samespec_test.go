package apiserver

import (
	"encoding/json"
	"testing"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// TestSameSpec compares every pair of specs with the slow way: their canonical JSON.
func TestSameSpec(t *testing.T) {
	texts := []string{
		`{"components":null}`,
		`{"components":[]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i"}}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"j"}}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i"},"traits":[]}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i"},"traits":[{"type":"x"}]}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i"},"traits":[{"type":"x","properties":{"a":1,"b":2}}]}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i"},"traits":[{"type":"x","properties":{ "b":2, "a":1 }}]}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i"},"traits":[{"type":"x","properties":{"a":1,"b":3}}]}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i"},"traits":[{"type":"y","properties":{"a":1,"b":2}}]}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i","config":[{"name":"c"}]}}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i","config":[{"name":"c","properties":{}}]}}]}`,
		`{"components":[{"name":"a","type":"component","properties":{"image":"i","config":[{"name":"c","properties":{"k":"v"}}]}}]}`,
		`{"components":[],"policies":[]}`,
		`{"components":[],"policies":[{"name":"p","type":"t"}]}`,
		`{"components":[],"policies":[{"name":"p","type":"t","properties":{}}]}`,
	}
	same := 0
	for i, left := range texts {
		for j, right := range texts {
			a, b := specOf(t, left), specOf(t, right)
			want := canonical(t, a) == canonical(t, b)
			if got := sameSpec(a, b); got != want {
				t.Errorf("sameSpec = %v, want %v:\n%s\n%s", got, want, left, right)
			}
			if want && i != j {
				same++
			}
		}
	}
	if same == 0 {
		t.Error("no two spellings of one spec are compared")
	}
}

func specOf(t *testing.T, text string) *v1beta1.ApplicationSpec {
	t.Helper()
	spec := &v1beta1.ApplicationSpec{}
	if err := json.Unmarshal([]byte(text), spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func canonical(t *testing.T, spec *v1beta1.ApplicationSpec) string {
	t.Helper()
	text, err := manifest.CanonicalJSON(spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
