package manifest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const minimal = `
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: app, annotations: {}}
spec:
  components:
    - name: c
      type: component
      properties: {image: x}
      traits: %s
`

func TestDecodeWadm_Errors(t *testing.T) {
	with := func(traits string) string { return fmt.Sprintf(minimal, traits) }
	for _, c := range []struct{ name, contentType, text, want string }{
		{"content type", "application/yaml; charset=utf-8", with("[]"),
			"Unsupported content type application/yaml; charset=utf-8 given. Wadm supports YAML and JSON"},
		{"not an object", "application/json", "[]", "invalid type: sequence, expected a map"},
		{"null", "application/json", "null", "invalid type: null, expected a map"},
		{"two documents", "application/yaml", with("[]") + "\n---\n{}", "more than one document"},
		{"unknown member", "application/yaml", with("[]") + "\nstatus: {}", "unknown field `status`"},
		{"duplicate member", "application/yaml", "kind: A\nkind: B", "duplicate field `kind`"},
		{"duplicate JSON member", "application/json", `{"kind":"A","kind":"B"}`, "duplicate field `kind`"},
		{"no metadata", "application/json", `{"apiVersion":"a","kind":"b","spec":{"components":[]}}`, "missing field `metadata`"},
		{"number for a string", "application/yaml", strings.Replace(with("[]"), "annotations: {}", "annotations: {version: 1.0}", 1),
			"invalid type: floating point `1.0`, expected a string"},
		{"unknown type", "application/yaml", strings.Replace(with("[]"), "type: component", "type: actorr", 1),
			"unknown variant `actorr`, expected `component` or `capability`"},
		{"trait without properties", "application/yaml", with("[{type: link}]"), "missing field `properties`"},
		{"trait with more", "application/yaml", with("[{type: link, properties: {}, x: 1}]"), "unknown field `x`"},
		{"unknown property", "application/yaml", strings.Replace(with("[]"), "{image: x}", "{image: x, imag: y}", 1), "unknown field `imag`"},
		{"number for a config value", "application/yaml",
			strings.Replace(with("[]"), "{image: x}", "{image: x, config: [{name: n, properties: {port: 8080}}]}", 1),
			"invalid type: integer `8080`, expected a string"},
		{"key is no string", "application/yaml", "1: x", "the name of a member must be a string"},
		{"too deep", "application/json", strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested too deeply"},
		{"bomb", "application/yaml", bomb(), "nested too deeply or has too many values"},
		{"too large", "application/json", strings.Repeat(" ", MaxBytes+1), "larger than 512 KiB"},
		{"empty", "application/yaml", "", "unexpected EOF"},
		{"trailing", "application/json", `{} x`, "trailing characters"},
		{"neither", "", "{", "YAML parsing failed: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeWadm(c.contentType, []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q in it", err, c.want)
			}
		})
	}
}

// bomb is YAML that grows a thousandfold with each alias.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 8; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func TestDecodeWadm_ScalarsAsInYAML12(t *testing.T) {
	text := strings.Replace(fmt.Sprintf(minimal, "[]"), "annotations: {}",
		`annotations: {a: yes, b: 2001-01-01, c: 1_000, d: "1", e: 'true', f: off, g: 0b1x, version: v1.0}`, 1)
	app, err := DecodeWadm("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "yes", "b": "2001-01-01", "c": "1_000", "d": "1", "e": "true", "f": "off", "g": "0b1x", "version": "v1.0"}
	if diff := cmp.Diff(want, app.Annotations); diff != "" {
		t.Error(diff)
	}
}

// What a user wrote in the free-form parts is kept: numbers as numbers, unknown members, order of lists.
func TestDecodeWadm_KeepsTraits(t *testing.T) {
	app, err := DecodeWadm("", []byte(fmt.Sprintf(minimal, `[{type: x, properties: {n: 1.50, big: 12345678901234567890, l: [b, a], z: null, t: true, hex: 0x1f}}]`)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"big":12345678901234567890,"hex":31,"l":["b","a"],"n":1.50,"t":true,"z":null}`
	if got := string(app.Spec.Components[0].Traits[0].Properties.Raw); got != want {
		t.Errorf("properties are %s, want %s", got, want)
	}
}

func TestDigest(t *testing.T) {
	a, err := DecodeWadm("", []byte(fmt.Sprintf(minimal, `[{type: x, properties: {a: 1, b: 2}}]`)))
	if err != nil {
		t.Fatal(err)
	}
	b := a.DeepCopy()
	b.Spec.Components[0].Traits[0].Properties.Raw = []byte("{ \"b\" : 2,\n\"a\": 1}")
	da, errA := Digest(&a.Spec)
	db, errB := Digest(&b.Spec)
	if errA != nil || errB != nil || da != db || len(da) != 64 {
		t.Errorf("blanks and order of members changed the digest: %s %s (%v, %v)", da, db, errA, errB)
	}
	b.Spec.Components[0].Properties.Image = "y"
	if db, _ = Digest(&b.Spec); da == db {
		t.Error("another image has the same digest")
	}
}

func FuzzDecodeWadm(f *testing.F) {
	for _, file := range []string{"testdata/everything.yaml", "testdata/wadm/simple1.json", "testdata/wadm/complex.yaml",
		"testdata/wadm/incorrect_component.yaml", "testdata/wadm/shared/both_properties.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, traits := range []string{
		`[{type: link, properties: {instances: 1}}]`,
		`[{type: link, properties: {namespace: 1, package: p, interfaces: [x]}}]`,
		`[{type: link, properties: {namespace: n, package: p, interfaces: [x], name: null, target: 1}}]`,
		`[{type: spreadscaler, properties: {instances: 4294967295, spread: [{name: a, requirements: {}, weight: 0}]}}]`,
		`[{type: daemonscaler, properties: {replicas: 1, instances: 1}}]`, `null`,
	} {
		f.Add([]byte(fmt.Sprintf(minimal, traits)))
	}
	f.Add([]byte(bomb()))
	f.Fuzz(func(t *testing.T, data []byte) {
		app, err := DecodeWadm("", data)
		if err != nil {
			return
		}
		_ = ValidateWadm(app)
		errs, _ := Validate(app)
		model := Parse(app.Name, &app.Spec)
		for _, p := range model.Problems {
			if len(errs) == 0 && !p.Harmless {
				t.Errorf("valid, but the model has the problem %q", p.Text)
			}
		}
		if _, err := Digest(&app.Spec); err != nil {
			t.Errorf("no digest: %v", err)
		}
		for _, c := range model.Components {
			if c.Scaler == nil {
				continue
			}
			var sum uint64
			for _, s := range c.Scaler.Spreads {
				sum += uint64(s.Instances)
			}
			if !c.Scaler.Daemon && sum != uint64(c.Scaler.Instances) {
				t.Errorf("shares of %d instances sum up to %d", c.Scaler.Instances, sum)
			}
		}
	})
}
