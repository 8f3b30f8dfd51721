package secrets

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Reference is a secret as a component asks for it: what the deployed manifest says, to the letter. Two of one value are
// answered alike.
type Reference struct {
	Key     string `json:"key"`
	Field   string `json:"field,omitempty"`
	Version string `json:"version,omitempty"`
	// Policy is the JSON of the properties, without that of the backend.
	Policy string `json:"policy,omitempty"`
}

// NewReference makes one of what stands in a manifest or a question.
func NewReference(key, field, version string, properties map[string]string) Reference {
	r := Reference{Key: key, Field: field, Version: version}
	if len(properties) > 0 {
		r.Policy = string(encode(properties)) // members are sorted
	}
	return r
}

// Outcome is what came of the last request of a component on a host. It holds no value.
type Outcome struct {
	Lattice     string    `json:"lattice"`
	Namespace   string    `json:"namespace"`
	Application string    `json:"application"`
	Component   string    `json:"component"`
	Host        string    `json:"host"`
	Reference   Reference `json:"reference"`
	// Version that was given; empty when it was refused.
	Version string `json:"version,omitempty"`
	// Kind and Reason of a refusal.
	Kind   Kind   `json:"kind,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Time is when it was noted, by the clock of NATS, and Revision that of its entry.
	Time     time.Time `json:"-"`
	Revision uint64    `json:"-"`
}

// Given says whether the host got the value.
func (o Outcome) Given() bool { return o.Kind == "" }

const (
	outcomeFormat   = 1
	maxReason       = 512
	wordGiven       = "given"
	wordRefused     = "refused"
	maxOutcomeBytes = 8 << 10
)

// storedOutcome is the form in the bucket.
type storedOutcome struct {
	Format int `json:"format"`
	Outcome
}

// key of an outcome: what was given last and what was refused last stand beside each other, since a host that is refused
// keeps what it was given before. Names are hashed: they may be long, and hold what no key may.
func (o Outcome) key(cluster string) string {
	sum := sha256.Sum256(encode([]string{
		o.Namespace, o.Application, o.Component, o.Host, o.Reference.Key, o.Reference.Field, o.Reference.Version, o.Reference.Policy,
	}))
	word := wordGiven
	if !o.Given() {
		word = wordRefused
	}
	return outcomesOf(cluster, o.Lattice) + "." + hex.EncodeToString(sum[:]) + "." + word
}

// outcomesOf begins the keys of a lattice.
func outcomesOf(cluster, lattice string) string {
	return hex.EncodeToString([]byte(cluster)) + "." + hex.EncodeToString([]byte(lattice))
}

func (o Outcome) encode() []byte {
	o.Reason = shorten(o.Reason, maxReason)
	return encode(storedOutcome{outcomeFormat, o})
}

func decodeOutcome(data []byte) (Outcome, bool) {
	var stored storedOutcome
	err := json.Unmarshal(data, &stored)
	return stored.Outcome, err == nil && stored.Format > 0 && stored.Format <= outcomeFormat
}
