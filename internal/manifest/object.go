package manifest

import (
	"fmt"
	"slices"
	"sort"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// dict reads the members of one JSON object and keeps the first thing that is wrong with them, so that readers of
// free-form parts are plain lists of members.
type dict struct {
	// what the object is, for the text of errors; at is where it lies within its parent, for their field.
	what, at string
	members  map[string]any
	err      error
}

type need bool

const (
	required need = true
	optional need = false
)

func object(v any, what, at string) *dict {
	d := &dict{what: what, at: at}
	members, ok := v.(map[string]any)
	if !ok {
		d.fail(&misfit{err: fmt.Errorf("invalid type: %s, expected a map for %s", describe(v), what)})
	}
	d.members = members
	return d
}

func (d *dict) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// adopt takes over what was wrong within a member.
func (d *dict) adopt(inner *dict) {
	if inner.err != nil {
		d.fail(within(inner.at, fmt.Errorf("%s: %w", inner.what, inner.err)))
	}
}

func (d *dict) has(name string) bool {
	_, ok := d.members[name]
	return ok
}

func (d *dict) take(name string) any { return d.members[name] }

func (d *dict) str(name string, n need) string {
	v, ok := d.members[name]
	if !ok {
		if n == required {
			d.fail(missing(name))
		}
		return ""
	}
	s, ok := v.(string)
	if !ok {
		d.fail(&misfit{at: name, err: fmt.Errorf("%s: invalid type: %s, expected a string", name, describe(v))})
	}
	return s
}

func (d *dict) unsigned(name string) uint64 {
	v, ok := d.members[name]
	if !ok {
		d.fail(missing(name))
		return 0
	}
	n, err := unsigned(v)
	if err != nil {
		d.fail(&misfit{at: name, err: fmt.Errorf("%s: %w", name, err)})
	}
	return n
}

// list reads an optional list.
func (d *dict) list(name string) []any {
	v, ok := d.members[name]
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		d.fail(&misfit{at: name, err: fmt.Errorf("%s: invalid type: %s, expected a sequence", name, describe(v))})
	}
	return list
}

// strings reads a required list of strings.
func (d *dict) strings(name string) []string {
	if !d.has(name) {
		d.fail(missing(name))
	}
	out := []string{}
	for i, v := range d.list(name) {
		s, ok := v.(string)
		if !ok {
			d.fail(&misfit{at: index(name, i), err: fmt.Errorf("%s: invalid type: %s, expected a string", name, describe(v))})
		}
		out = append(out, s)
	}
	return out
}

// stringMap reads an optional map of strings; null is none.
func (d *dict) stringMap(name string) map[string]string {
	v, ok := d.members[name]
	if !ok || v == nil {
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		d.fail(&misfit{at: name, err: fmt.Errorf("%s: invalid type: %s, expected a map", name, describe(v))})
		return nil
	}
	out := make(map[string]string, len(m))
	for _, key := range sortedKeys(m) {
		s, ok := m[key].(string)
		if !ok {
			d.fail(&misfit{at: name + "[" + key + "]", err: fmt.Errorf("%s: %s: invalid type: %s, expected a string", name, key, describe(m[key]))})
		}
		out[key] = s
	}
	return out
}

// noMore refuses members that are not listed.
func (d *dict) noMore(known ...string) {
	for _, name := range sortedKeys(d.members) {
		if !slices.Contains(known, name) {
			d.fail(&misfit{at: name, err: fmt.Errorf("unknown field `%s`", name)})
		}
	}
}

func (d *dict) configs(name string) []v1beta1.ConfigProperty {
	var out []v1beta1.ConfigProperty
	for i, item := range d.list(name) {
		c := object(item, "config", index(name, i))
		out = append(out, v1beta1.ConfigProperty{Name: c.str("name", required), Properties: c.stringMap("properties")})
		c.noMore("name", "properties")
		d.adopt(c)
	}
	return out
}

func (d *dict) secrets(name string) []v1beta1.SecretProperty {
	var out []v1beta1.SecretProperty
	for i, item := range d.list(name) {
		s := object(item, "secrets", index(name, i))
		if !s.has("properties") {
			s.fail(missing("properties"))
			d.adopt(s)
			continue
		}
		p := object(s.take("properties"), "properties", "properties")
		out = append(out, v1beta1.SecretProperty{Name: s.str("name", required), Properties: v1beta1.SecretSource{
			Policy: p.str("policy", required), Key: p.str("key", required),
			Field: p.text("field"), Version: p.text("version"),
		}})
		s.adopt(p)
		d.adopt(s)
	}
	return out
}

// text reads an optional string that may be null.
func (d *dict) text(name string) string {
	if d.members[name] == nil {
		return ""
	}
	return d.str(name, optional)
}

func (d *dict) endConfig() endConfig {
	return endConfig{Config: d.configs("config"), Secrets: d.secrets("secrets")}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
