package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// Names and words fixed by wadm 0.21.
const (
	// TypeComponent is a WebAssembly component; TypeActor is its old name.
	TypeComponent = "component"
	TypeActor     = "actor"
	// TypeCapability is a capability provider.
	TypeCapability = "capability"

	// TraitSpread spreads instances over hosts by weight, TraitDaemon runs on every matching host, TraitLink links.
	TraitSpread = "spreadscaler"
	TraitDaemon = "daemonscaler"
	TraitLink   = "link"

	// SharedAnnotation makes the components of an application usable by others.
	SharedAnnotation = "experimental.wasmcloud.dev/shared"
	// SecretPolicyType is the type of a policy that names a secrets backend.
	SecretPolicyType = "policy.secret.wasmcloud.dev/v1alpha1"
	// LatestVersion is no name of a version: deploy understands it as the last one.
	LatestVersion = "latest"

	// DefaultLinkName is the name of a link that names none; DefaultSpread the spread of a scaler that lists none.
	DefaultLinkName = "default"
	DefaultSpread   = "default"

	secretType       = "secret.wasmcloud.dev/v1alpha1"
	secretPolicyBody = "properties.secret.wasmcloud.dev/v1alpha1"
	secretPrefix     = "SECRET_"
	defaultWeight    = 100
)

// Sanitise makes a name usable within ids: lower case, and every character that is no ASCII letter or digit becomes `_`.
func Sanitise(name string) string {
	// The one letter whose full lower case has two characters; wadm's language uses the full mapping.
	lower := strings.ToLower(strings.ReplaceAll(name, "İ", "i_"))
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, lower)
}

// DerivedID is the id of a component or provider without an explicit one, and the lattice name of a configuration with
// values: `application-name`.
func DerivedID(application, name string) string {
	return Sanitise(application) + "-" + Sanitise(name)
}

// SecretConfigName is the name under which a secret reference is stored among the configurations of the lattice.
func SecretConfigName(application, name string) string {
	return secretPrefix + DerivedID(application, name)
}

// ConfigName is the name of a configuration in the lattice: derived when the application brings its values, verbatim
// when someone else does.
func ConfigName(application string, c v1beta1.ConfigProperty) string {
	if c.Properties == nil {
		return c.Name
	}
	return DerivedID(application, c.Name)
}

// ComponentID is the id under which a component of an application runs. A reference to a shared component has the id
// that its owner gave, unless the reference names another.
func ComponentID(application string, c v1beta1.Component) string {
	switch p := c.Properties; {
	case p.ID != "":
		return p.ID
	case p.Application != nil && p.Image == "":
		return DerivedID(p.Application.Name, p.Application.Component)
	default:
		return DerivedID(application, c.Name)
	}
}

// scalerID is wadm's id of a scaler. It is an annotation of what runs, so what wadm started is recognised by it.
func scalerID(parts ...[]string) string {
	h := sha256.New()
	for _, list := range parts {
		for _, part := range list {
			h.Write([]byte(part))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
