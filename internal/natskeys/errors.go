package natskeys

import (
	"errors"
	"fmt"
)

// ErrKeysLost says that the accounts are there but their keys are not.
var ErrKeysLost = errors.New("the accounts of NATS exist but their keys are gone: restore the Secret with the keys, or delete the Secret with the accounts to begin anew and lose what NATS stores")

// ErrNoKey says that there is no signing key for a lattice.
var ErrNoKey = errors.New("there is no key for this lattice: add it to the chart's value nats.lattices and upgrade the release")

// SpecError says that a host group asks for a right that no host group gets.
type SpecError struct {
	// Path of the field, such as spec.nats.publish, and its value.
	Path, Value string
	// Why it is refused.
	Why string
}

// Error names the field, its value and the way out.
func (e *SpecError) Error() string {
	return fmt.Sprintf("%s %q %s: change or remove it, or log in with credentials of your own (spec.secretName)", e.Path, e.Value, e.Why)
}

// Field is the path of the field.
func (e *SpecError) Field() string { return e.Path }
