// Package script is what goes wrong, and when, in a simulated lattice: a list of steps in YAML or JSON.
package script

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/trellis-operator/trellis/test/sim"
)

// Script is a list of steps.
type Script struct {
	Steps []Step `json:"steps"`
}

// Step does one thing or several at one time: first calm and faults, then hosts, then the event.
type Step struct {
	// At is the time since the script began. Steps are done in the order they stand in.
	At Duration `json:"at"`
	// Start brings up hosts.
	Start *Hosts `json:"start,omitempty"`
	// Stop ends hosts in good order, Kill without a word.
	Stop *Which `json:"stop,omitempty"`
	Kill *Which `json:"kill,omitempty"`
	// Restart kills hosts and starts them again, empty, with a new id; RestartSame with the id they had.
	Restart     *Which `json:"restart,omitempty"`
	RestartSame *Which `json:"restartSame,omitempty"`
	// Mute cuts hosts from NATS while they run on, Unmute mends that.
	Mute   *Which `json:"mute,omitempty"`
	Unmute *Which `json:"unmute,omitempty"`
	// Hold keeps back what hosts send, Release sends it, late.
	Hold    *Which `json:"hold,omitempty"`
	Release *Which `json:"release,omitempty"`
	// Faults replaces all faults of messages and images.
	Faults *Faults `json:"faults,omitempty"`
	// Buckets is "down" for an outage of JetStream as hosts see it, or "up".
	Buckets string `json:"buckets,omitempty"`
	// Event publishes an event in the name of a host.
	Event *Event `json:"event,omitempty"`
	// Calm ends all faults, mute hosts and outages.
	Calm bool `json:"calm,omitempty"`
	// Report writes the counters.
	Report bool `json:"report,omitempty"`
}

// Hosts are hosts to start, or the one with an id.
type Hosts struct {
	Count int `json:"count"`
	// ID is the public key of the only host. Default: one made from the seed, which nobody would take for a key.
	ID     string            `json:"id,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Which hosts: the one with that id, or as many as Count of those with the label (`key=value`), chosen by the seed; a
// Count of 0 means all of them.
type Which struct {
	Host  string `json:"host,omitempty"`
	Label string `json:"label,omitempty"`
	Count int    `json:"count,omitempty"`
}

// Faults in the words of sim.Faults; times are "5ms" or "5ms..50ms".
type Faults struct {
	LoseCommand float64           `json:"loseCommand,omitempty"`
	LoseReply   float64           `json:"loseReply,omitempty"`
	LoseEvent   float64           `json:"loseEvent,omitempty"`
	TwiceReply  float64           `json:"twiceReply,omitempty"`
	TwiceEvent  float64           `json:"twiceEvent,omitempty"`
	DelayReply  Range             `json:"delayReply,omitempty"`
	DelayEvent  Range             `json:"delayEvent,omitempty"`
	LateEvent   float64           `json:"lateEvent,omitempty"`
	LateBy      Range             `json:"lateBy,omitempty"`
	WrongEvent  float64           `json:"wrongEvent,omitempty"`
	Failing     map[string]string `json:"failing,omitempty"`
	FailStart   float64           `json:"failStart,omitempty"`
	FailText    string            `json:"failText,omitempty"`
	Flapping    []string          `json:"flapping,omitempty"`
}

// Event of a host: the last token of its subject and its data.
type Event struct {
	Host string          `json:"host"`
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

// Parse reads a script. Members that it does not know are errors.
func Parse(data []byte) (Script, error) {
	var s Script
	if err := yaml.UnmarshalStrict(data, &s); err != nil {
		return Script{}, fmt.Errorf("read the script: %w", err)
	}
	for i, step := range s.Steps {
		if err := step.check(); err != nil {
			return Script{}, fmt.Errorf("read the script: step %d: %w", i+1, err)
		}
	}
	return s, nil
}

// ParseStep reads one step alone.
func ParseStep(data []byte) (Step, error) {
	var s Step
	if err := yaml.UnmarshalStrict(data, &s); err != nil {
		return Step{}, fmt.Errorf("read a step: %w", err)
	}
	if err := s.check(); err != nil {
		return Step{}, fmt.Errorf("read a step: %w", err)
	}
	return s, nil
}

func (s Step) check() error {
	switch s.Buckets {
	case "", "down", "up":
	default:
		return fmt.Errorf(`buckets is %q; use "down" or "up"`, s.Buckets)
	}
	for _, which := range []*Which{s.Stop, s.Kill, s.Restart, s.RestartSame, s.Mute, s.Unmute, s.Hold, s.Release} {
		if which != nil && which.Label != "" && !strings.Contains(which.Label, "=") {
			return fmt.Errorf("label %q is not key=value", which.Label)
		}
	}
	return nil
}

// Duration is a time as "1m30s".
type Duration time.Duration

// UnmarshalJSON reads the text.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf(`a time is a text like "1m30s": %w`, err)
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}

// Range is a time as "5ms", or between two as "5ms..50ms".
type Range sim.Range

// UnmarshalJSON reads the text.
func (r *Range) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf(`a time is a text like "5ms" or "5ms..50ms": %w`, err)
	}
	return r.Set(text)
}

// Set reads the text; with String and Type a Range is a flag.
func (r *Range) Set(text string) error {
	low, high, between := strings.Cut(text, "..")
	least, err := time.ParseDuration(low)
	if err != nil {
		return err
	}
	most := least
	if between {
		if most, err = time.ParseDuration(high); err != nil {
			return err
		}
	}
	if least < 0 || most < least {
		return fmt.Errorf("%s is no range of times: the first is below zero, or above the second", text)
	}
	*r = Range{Min: least, Max: most}
	return nil
}

func (r *Range) String() string {
	if r.Max <= r.Min {
		return r.Min.String()
	}
	return r.Min.String() + ".." + r.Max.String()
}

// Type is the name of the type in a flag's help.
func (r *Range) Type() string { return "time" }
