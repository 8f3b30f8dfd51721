package wadmapi

import "testing"

// FuzzParse: no subject crashes the parser, and a name never has a dot.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"wadm.api.default.model.put", "wadm.api.default.model.get.a", "wadm.api.default.model.get.a.b", "", "x"} {
		f.Add(s)
	}
	s := subjects{[]string{"wadm.api.default"}}
	f.Fuzz(func(t *testing.T, subject string) {
		c, err := s.parse(subject)
		if err != nil {
			return
		}
		back := s.bases[0] + "." + category + "." + c.operation
		if c.name != "" {
			back += "." + c.name
		}
		if back != subject && back+"." != subject {
			t.Fatalf("%q became %+v", subject, c)
		}
	})
}

// FuzzReadBody: whatever a client sends is read or refused.
func FuzzReadBody(f *testing.F) {
	for _, s := range []string{"", "{}", "null", `{"version":null}`, `{"version":"v1","x":1}`, `{"version":1}`, "[]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		var r versionRequest
		_ = readBody(data, &r)
	})
}
