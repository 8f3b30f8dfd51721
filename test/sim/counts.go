package sim

import "maps"

// Counts are what went through a lattice since it began.
type Counts struct {
	// Commands that arrived, by verb ("component.scale"), those to nobody left out.
	Commands map[string]uint64 `json:"commands"`
	// Events that were published, by kind.
	Events map[string]uint64 `json:"events"`
	// Replies that were sent.
	Replies uint64 `json:"replies"`
	// Lost are messages that faults took, Oversized those above the limit of a message.
	Lost      uint64 `json:"lost"`
	Oversized uint64 `json:"oversized"`
}

func newCounts() Counts {
	return Counts{Commands: map[string]uint64{}, Events: map[string]uint64{}}
}

// Counts returns a copy of the counters.
func (l *Lattice) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts
	c.Commands, c.Events = maps.Clone(c.Commands), maps.Clone(c.Events)
	return c
}

// Changing is the number of commands that change something: all but questions.
func (c Counts) Changing() uint64 {
	var n uint64
	for verb, count := range c.Commands {
		if !questions[verb] {
			n += count
		}
	}
	return n
}

var questions = map[string]bool{
	"host.ping": true, "host.get": true, "link.get": true, "config.get": true, "claims.get": true,
	"component.auction": true, "provider.auction": true,
}
