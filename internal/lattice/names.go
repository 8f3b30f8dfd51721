package lattice

import (
	"fmt"
	"strings"
)

// Limits of names. NATS allows stream names of 255 bytes; these leave room for every prefix that is put before them.
const (
	MaxLatticeName = 128
	MaxIdentifier  = 200
)

// DefaultLattice is the lattice of hosts that name none.
const DefaultLattice = "default"

// ValidateName checks the name of a lattice: one NATS token that is also the tail of a bucket name, so ASCII letters,
// digits, `-` and `_` only.
func ValidateName(lattice string) error {
	return validate("lattice name", lattice, MaxLatticeName, "")
}

// ValidateID checks a component or provider id. It becomes part of a KV key and of RPC subjects, so it takes the
// characters of a KV key; a dot is legal inside, never at an end or twice in a row.
func ValidateID(id string) error {
	if err := validate("identifier", id, MaxIdentifier, "/=."); err != nil {
		return err
	}
	if strings.HasPrefix(id, ".") || strings.HasSuffix(id, ".") || strings.Contains(id, "..") {
		return fmt.Errorf("%w: identifier %q has an empty part between dots", ErrInvalidName, id)
	}
	return nil
}

// ValidateConfigName checks the name of a named configuration: one NATS token that is also a KV key. Hosts answer a
// name with a dot with "unsupported subject".
func ValidateConfigName(name string) error {
	return validate("configuration name", name, MaxIdentifier, "/=")
}

// ValidateHostID checks the public key of a host. Only its use as a subject token is checked, because simulated and
// future hosts may have other keys.
func ValidateHostID(id string) error {
	return validate("host id", id, MaxIdentifier, "")
}

func validate(what, s string, limit int, extra string) error {
	if s == "" {
		return fmt.Errorf("%w: the %s is empty", ErrInvalidName, what)
	}
	if len(s) > limit {
		return fmt.Errorf("%w: the %s has %d bytes, at most %d are allowed", ErrInvalidName, what, len(s), limit)
	}
	for i := 0; i < len(s); i++ {
		if !alphanumeric(s[i]) && s[i] != '-' && s[i] != '_' && strings.IndexByte(extra, s[i]) < 0 {
			return fmt.Errorf("%w: %s %q contains the character %q; use ASCII letters, digits, - and _",
				ErrInvalidName, what, s, s[i])
		}
	}
	return nil
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// validatePrefix checks a subject prefix: tokens of printable ASCII without wildcards.
func validatePrefix(prefix string) error {
	for _, token := range strings.Split(prefix, ".") {
		if token == "" {
			return fmt.Errorf("%w: subject prefix %q has an empty token", ErrInvalidName, prefix)
		}
		for i := 0; i < len(token); i++ {
			if c := token[i]; c <= ' ' || c >= 0x7f || c == '*' || c == '>' {
				return fmt.Errorf("%w: subject prefix %q contains the character %q", ErrInvalidName, prefix, c)
			}
		}
	}
	return nil
}
