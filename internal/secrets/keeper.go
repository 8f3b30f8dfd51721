// Package secrets answers the secrets protocol of wasmCloud hosts, v1alpha1, for one lattice: curve keys, tokens, replays,
// limits and the forms on the wire. Who may read what, and where it lies, is decided behind the interface Keeper.
package secrets

import "context"

// Keeper decides and reads. An *Error answers with its kind; any other error becomes UpstreamError with a fixed text, and
// its own text goes to the audit: it must hold no value. It should return when ctx ends; the host is answered then anyway.
type Keeper interface {
	Secret(ctx context.Context, q Question) (Secret, error)
}

// Asker says who asks. That is known from the subject, which NATS permissions guard: what the message says of itself
// anybody can write.
type Asker struct {
	Lattice string
	// Namespace and Group name a host group; both are empty when it is not known who asks.
	Namespace, Group string
	// Doubt says why the host group of the subject is not believed. A Keeper is not told that group then; an Auditor is, as
	// what the subject claims.
	Doubt string
}

// Kinds of an Entity.
const (
	Component = "component"
	Provider  = "provider"
)

// Entity is what the token of a component or provider says. It proves that the asker has a copy of the artefact, and
// nothing else.
type Entity struct {
	// Kind is Component or Provider.
	Kind string
	// Subject and Issuer are the public keys of the artefact and of who signed it.
	Subject, Issuer string
	Name            string
	// Hash of a component's code; providers have several and none here.
	Hash string
}

// Policy is what the manifest says of the backend.
type Policy struct {
	Properties map[string]string
}

// Question is a request that is well formed.
type Question struct {
	Asker Asker
	// Application is empty for what no manifest started. It is a claim of the asker, as are HostID, whose token anybody
	// can make, and Policy.
	Application string
	Entity      Entity
	HostID      string
	Key, Field  string
	// Version is nil for the latest.
	Version *string
	Policy  Policy
}

// Secret is a value.
type Secret struct {
	// Version may be empty.
	Version string
	Value   []byte
	// Binary sends bytes also where the value is text.
	Binary bool
	// Namespace is where it was read, for the audit. Optional.
	Namespace string
}
