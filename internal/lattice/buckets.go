package lattice

import (
	"fmt"
	"strings"
)

const (
	dataBucketPrefix   = "LATTICEDATA_"
	configBucketPrefix = "CONFIGDATA_"

	componentKeyPrefix = "COMPONENT_"
	claimsKeyPrefix    = "CLAIMS_"
)

// SecretPrefix begins the name of every secret reference among named configurations.
const SecretPrefix = "SECRET"

// DataBucket is the KV bucket of component specifications and claims.
func DataBucket(lattice string) (string, error) {
	if err := ValidateName(lattice); err != nil {
		return "", err
	}
	return dataBucketPrefix + lattice, nil
}

// ConfigBucket is the KV bucket of named configurations; the key is the name.
func ConfigBucket(lattice string) (string, error) {
	if err := ValidateName(lattice); err != nil {
		return "", err
	}
	return configBucketPrefix + lattice, nil
}

// ComponentKey is the key of the specification of a component or provider.
func ComponentKey(id string) (string, error) {
	if err := ValidateID(id); err != nil {
		return "", err
	}
	return componentKeyPrefix + id, nil
}

// ClaimsKey is the key of the claims of a signing subject (`M…` or `V…`).
func ClaimsKey(subject string) (string, error) {
	if err := ValidateID(subject); err != nil {
		return "", err
	}
	return claimsKeyPrefix + subject, nil
}

// DataKey is a key of the data bucket taken apart; one of the fields is set.
type DataKey struct {
	ComponentID   string
	ClaimsSubject string
}

// ParseDataKey takes a key of the data bucket apart. Keys of old hosts (`LINKDEF_`, `REFMAP_`) and foreign keys are
// ErrInvalidName and are to be skipped.
func ParseDataKey(key string) (DataKey, error) {
	if id, ok := strings.CutPrefix(key, componentKeyPrefix); ok && id != "" {
		return DataKey{ComponentID: id}, nil
	}
	if subject, ok := strings.CutPrefix(key, claimsKeyPrefix); ok && subject != "" {
		return DataKey{ClaimsSubject: subject}, nil
	}
	return DataKey{}, fmt.Errorf("%w: %q is no key of a lattice's data", ErrInvalidName, key)
}

// IsSecret says whether a named configuration is a reference to a secret.
func IsSecret(configName string) bool { return strings.HasPrefix(configName, SecretPrefix) }
