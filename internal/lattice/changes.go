package lattice

import "time"

// ChangeKind says what a watch of a bucket reports.
type ChangeKind int

// Kinds of changes.
const (
	// ChangeReset: what was reported before is void; the values that exist follow, then ChangeSynced.
	ChangeReset ChangeKind = iota + 1
	// ChangePut: the entry has this value now.
	ChangePut
	// ChangeDelete: the entry is gone, or its value cannot be read.
	ChangeDelete
	// ChangeSynced: all values that existed when the watch began were reported.
	ChangeSynced
)

// Change is one report of a watch of a bucket.
type Change[T any] struct {
	Kind ChangeKind
	// Name is the component or provider id, or the name of the configuration; empty for ChangeReset and ChangeSynced.
	Name string
	// Value is set for ChangePut.
	Value T
	// Time is when the entry was written, by the server's clock; set for ChangePut.
	Time time.Time
}

// SpecChange is a change of the data bucket.
type SpecChange = Change[ComponentSpec]

// ConfigChange is a change of the configuration bucket.
type ConfigChange = Change[Config]
