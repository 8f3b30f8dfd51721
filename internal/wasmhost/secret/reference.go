package secret

import (
	"encoding/json"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Reference says where a secret is. It is stored among the named configurations of the lattice.
type Reference struct {
	// Name is the one by which the workload asks for the secret.
	Name    string
	Backend string
	Key     string
	Field   *string
	Version *string
	// Policy is JSON in a string, for the backend.
	Policy string
}

type policy struct {
	Type       *string                    `json:"type"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// ParseReference reads an entry of the bucket of configurations. Its errors show nothing of the content: what somebody
// stored under such a name by mistake may be a secret itself.
func ParseReference(content []byte) (Reference, error) {
	w, err := lattice.Decode[struct {
		Name    *string `json:"name"`
		Type    *string `json:"type"`
		Backend *string `json:"backend"`
		Key     *string `json:"key"`
		Field   *string `json:"field"`
		Version *string `json:"version"`
		Policy  *string `json:"policy"`
	}](content)
	if err != nil {
		return Reference{}, errNoStrings
	}
	for _, required := range []struct {
		member string
		value  *string
	}{{"name", w.Name}, {"backend", w.Backend}, {"key", w.Key}, {"policy", w.Policy}, {"type", w.Type}} {
		if required.value == nil {
			return Reference{}, &missingFieldError{required.member}
		}
	}
	p, err := lattice.Decode[policy]([]byte(*w.Policy))
	if err != nil || p.Type == nil || p.Properties == nil {
		return Reference{}, errPolicy
	}
	// Written anew, so that the backend gets what was understood.
	text, err := lattice.Encode(p)
	return Reference{Name: *w.Name, Backend: *w.Backend, Key: *w.Key, Field: w.Field, Version: w.Version, Policy: string(text)}, err
}
