package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// Digest is the SHA-256, in hex, of the canonical JSON of a spec: members sorted, no blanks, numbers as written. Two
// specs with one digest mean the same.
func Digest(spec *v1beta1.ApplicationSpec) (string, error) {
	data, err := CanonicalJSON(spec)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// CanonicalJSON writes a spec with members sorted and without blanks, also within the free-form parts.
func CanonicalJSON(spec *v1beta1.ApplicationSpec) ([]byte, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode the spec: %w", err)
	}
	// Members that come twice in a free-form part are settled here as everywhere in Kubernetes: the last one counts.
	var v any
	if err := unmarshalNumbers(data, &v); err != nil {
		return nil, fmt.Errorf("read the spec: %w", err)
	}
	return json.Marshal(v)
}
