package v1alpha1_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

func grant(spec string) string {
	return "apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: SecretGrant\nmetadata: {name: shop, namespace: vault}\nspec: " + spec + "\n"
}

// all lets everybody read one Secret.
const all = "{namespaces: ['*'], lattices: ['*'], applications: ['*'], components: ['*']}"

func TestSecretGrant_Errors(t *testing.T) {
	with := func(list, names string) string {
		return grant("{secrets: [{name: pg}], from: [" + strings.Replace(all, list+": ['*']", list+": "+names, 1) + "]}")
	}
	for name, tc := range map[string]struct{ text, says string }{
		"no from":               {grant("{secrets: [{name: pg}]}"), "spec.from"},
		"no secrets":            {grant("{from: [" + all + "]}"), "spec.secrets"},
		"a list is missing":     {grant("{secrets: [{name: pg}], from: [{namespaces: ['*'], lattices: ['*'], applications: ['*']}]}"), "spec.from[0].components"},
		"no namespace":          {with("namespaces", "[]"), "spec.from[0].namespaces"},
		"no lattice":            {with("lattices", "[]"), "spec.from[0].lattices"},
		"no application":        {with("applications", "[]"), "spec.from[0].applications"},
		"no component":          {with("components", "[]"), "spec.from[0].components"},
		"pattern of namespaces": {with("namespaces", "[team-*]"), "the name of a namespace, or * for all"},
		"pattern of lattices":   {with("lattices", "[a.b]"), "the name of a lattice, or * for all"},
		"pattern of names":      {with("applications", "['shop.*']"), "the name of an application, or * for all"},
		"all and one":           {with("namespaces", "['*', team-a]"), "namespaces has * beside names"},
		"all lattices and one":  {with("lattices", "['*', a]"), "lattices has * beside names"},
		"all names and one":     {with("applications", "['*', a]"), "applications has * beside names"},
		"all components":        {with("components", "['*', a]"), "components has * beside names"},
		"twice":                 {with("namespaces", "[team-a, team-a]"), "Duplicate"},
		"all Secrets":           {grant("{from: [], secrets: [{name: '*'}]}"), "the name of one Secret"},
		"pattern of Secrets":    {grant("{from: [], secrets: [{name: pg-*}]}"), "the name of one Secret"},
		"a Secret twice":        {grant("{from: [], secrets: [{name: pg}, {name: pg, keys: [a]}]}"), "Duplicate"},
		"no key":                {grant("{from: [], secrets: [{name: pg, keys: []}]}"), "spec.secrets[0].keys"},
		"all keys":              {grant("{from: [], secrets: [{name: pg, keys: ['*']}]}"), "leave keys out for all"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := check(t, tc.text)
			if len(errs) == 0 || !strings.Contains(errs.ToAggregate().Error(), tc.says) {
				t.Errorf("errors = %v, want one that names %q", errs, tc.says)
			}
		})
	}
}

func TestSecretGrant_Takes(t *testing.T) {
	for name, text := range map[string]string{
		"everybody":           grant("{secrets: [{name: pg}], from: [" + all + "]}"),
		"nobody and nothing":  grant("{secrets: [], from: []}"),
		"without known group": grant("{secrets: [{name: pg, keys: [tls.key]}], from: [], unauthenticated: true}"),
	} {
		if _, errs := check(t, text); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs.ToAggregate())
		}
	}
}

// TestSecretGrant_Documented applies every example of the spec page, which names every field.
func TestSecretGrant_Documented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/spec/secretgrant.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(apiVersion: k8s.wasmcloud.dev.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(examples) == 0 {
		t.Fatal("the page has no example")
	}
	for i, example := range examples {
		object, errs := check(t, example[1])
		if len(errs) > 0 {
			t.Errorf("example %d: %v", i, errs.ToAggregate())
		}
		again, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var typed v1alpha1.SecretGrant
		if err := yaml.UnmarshalStrict(again, &typed); err != nil {
			t.Errorf("example %d: the schema keeps what the type does not know: %v", i, err)
		}
	}
	for _, name := range []string{"from", "namespaces", "lattices", "applications", "components", "secrets", "name", "keys", "unauthenticated"} {
		if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "."+name+"`") {
			t.Errorf("the page does not name %s", name)
		}
	}
}
