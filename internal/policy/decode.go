package policy

import (
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// maxText is the largest text of one property; what is larger is no setting.
const maxText = 64 << 10

// decode reads the YAML text of a property strictly, and reports what is wrong with the field that it concerns.
func (r *reader) decode(text string, into any) bool {
	if len(text) > maxText {
		r.problem("", "the text is longer than 64 KiB; leave out what is not needed")
		return false
	}
	raw, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		r.problem("", "the text is no YAML (%s); see the examples of the policy", oneLine(err))
		return false
	}
	unknown, err := json.UnmarshalStrict(raw, into)
	if err != nil {
		field, says := typeError(err)
		r.problem(field, "%s", says)
		return false
	}
	for _, e := range unknown {
		field := ""
		if m := unknownField.FindStringSubmatch(e.Error()); m != nil {
			field = m[1]
		}
		r.problem(field, "there is no such field; remove it or correct its name")
	}
	return len(unknown) == 0
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// mismatch is how the decoder says that a field has another type than is written. Its error has no exported type.
var mismatch = regexp.MustCompile(`cannot unmarshal (\S+)(?: \S+)? into Go (?:struct field [^.]*\.(\S+)|value) of type (\S+)`)

// typeError names the field that has another type than is written.
func typeError(err error) (field, says string) {
	m := mismatch.FindStringSubmatch(err.Error())
	if m == nil {
		return "", oneLine(err) + "; see the examples of the policy"
	}
	return m[2], fmt.Sprintf("a %s stands where a %s belongs; correct it", words[m[1]], wordOf(m[3]))
}

// words are YAML's for what JSON calls things.
var words = map[string]string{"object": "map", "array": "list", "string": "string", "number": "number", "bool": "true or false", "null": "null"}

// wordOf says a Go type in words of YAML.
func wordOf(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "list"
	case strings.HasPrefix(goType, "map[") || strings.HasPrefix(goType, "policy."):
		return "map"
	case strings.HasPrefix(goType, "int"):
		return "whole number"
	}
	return goType
}

func oneLine(err error) string { return spaces.ReplaceAllString(shorten(err.Error()), " ") }

var spaces = regexp.MustCompile(`\s+`)
