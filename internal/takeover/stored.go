package takeover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// stored is an application as wadm keeps it: its versions, the oldest first.
type stored struct {
	versions []storedVersion
	// deployed is the name of the deployed version, nil for none.
	deployed *string
}

type storedVersion struct {
	name     string
	manifest json.RawMessage
}

var errNoObject = errors.New("it is no JSON object")

// decode reads a value. The order of the members of `manifests` is the order of the versions, which is why no map can
// hold them.
func decode(value []byte) (*stored, error) {
	var outer struct {
		Manifests json.RawMessage `json:"manifests"`
		Deployed  *string         `json:"deployed_version"`
	}
	if err := json.Unmarshal(value, &outer); err != nil {
		return nil, err
	}
	out := &stored{deployed: outer.Deployed}
	if len(outer.Manifests) == 0 {
		return out, nil
	}
	d := json.NewDecoder(bytes.NewReader(outer.Manifests))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("member manifests: %w", errNoObject)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("member manifests: %w", err)
		}
		name, _ := key.(string) // a key of an object is one
		var manifest json.RawMessage
		if err := d.Decode(&manifest); err != nil {
			return nil, fmt.Errorf("version %q: %w", name, err)
		}
		out.add(storedVersion{name, manifest})
	}
	return out, nil
}

// add appends a version; one that comes twice stays where it was first, with what came last.
func (s *stored) add(v storedVersion) {
	if i := slices.IndexFunc(s.versions, func(o storedVersion) bool { return o.name == v.name }); i >= 0 {
		s.versions[i] = v
		return
	}
	s.versions = append(s.versions, v)
}

// bound drops the oldest versions beyond a limit, never the deployed one.
func (s *stored) bound(limit int) (dropped int) {
	excess := len(s.versions) - limit
	s.versions = slices.DeleteFunc(s.versions, func(v storedVersion) bool {
		if dropped >= excess || s.deployed != nil && v.name == *s.deployed {
			return false
		}
		dropped++
		return true
	})
	return dropped
}
