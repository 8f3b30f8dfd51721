package store

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// swap is one write as a linearizable object knows it: compare the last write of an object with base, and set it to to.
type swap struct {
	name, base, to string
	certain        bool // the outcome is known: it has happened
}

// register is an object that can only be compared and set. What its state is called is the write that made it; "" is
// no object. A swap of unknown outcome may happen, at any time after it began, or not.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byName := map[string][]porcupine.Operation{}
		for _, o := range history {
			name := o.Input.(swap).name
			byName[name] = append(byName[name], o)
		}
		var out [][]porcupine.Operation
		for _, operations := range byName {
			out = append(out, operations)
		}
		return out
	},
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		s := input.(swap)
		if state.(string) == s.base {
			return true, s.to
		}
		return !s.certain, state
	},
}

// operations makes what porcupine checks of the history of writes. Refused ones have not happened. Of those of unknown
// outcome whose content nobody has seen, none needs to have happened: they are left out, which keeps the search short.
func operations(writes []write) []porcupine.Operation {
	seen := map[string]bool{}
	for _, w := range writes {
		if w.outcome == acknowledged {
			seen[w.base] = true
		}
	}
	var start time.Time
	if len(writes) > 0 {
		start = slices.MinFunc(writes, func(a, b write) int { return a.began.Compare(b.began) }).began
	}
	var out []porcupine.Operation
	for i, w := range writes {
		if w.outcome == refused || w.outcome == unknown && !w.deletes && !seen[w.id] {
			continue
		}
		s := swap{name: w.name, base: w.base, to: w.id, certain: w.outcome == acknowledged}
		if w.deletes {
			s.to = ""
		}
		o := porcupine.Operation{ClientId: i, Input: s, Call: int64(w.began.Sub(start)), Return: int64(w.ended.Sub(start))}
		if !s.certain {
			o.Return = math.MaxInt64
		}
		out = append(out, o)
	}
	return out
}

// checkLinear wants the writes to be linearizable, judged by what the clients were told alone. It returns how many were
// judged.
func checkLinear(t reporter, writes []write) int {
	t.Helper()
	history := operations(writes)
	if result := porcupine.CheckOperationsTimeout(register, history, time.Minute); result != porcupine.Ok {
		t.Errorf("the writes are not linearizable, or it could not be decided in a minute: %s", result)
	}
	return len(history)
}

// TestLinearModel: the model accepts what is linearizable and refuses what is not.
func TestLinearModel(t *testing.T) {
	at := func(ms int) time.Time { return time.Time{}.Add(time.Duration(ms) * time.Millisecond) }
	ack := func(id, base string, from, to int) write {
		return write{id: id, base: base, name: "x", began: at(from), ended: at(to)}
	}
	lost := func(w write) write { w.outcome = unknown; return w }
	gone := func(w write) write { w.deletes = true; return w }
	for name, test := range map[string]struct {
		writes []write
		right  bool
	}{
		"one after another":                          {[]write{ack("a", "", 1, 2), ack("b", "a", 3, 4), gone(ack("c", "b", 5, 6)), ack("d", "", 7, 8)}, true},
		"side by side":                               {[]write{ack("b", "a", 1, 4), ack("a", "", 2, 3)}, true},
		"an unknown one that happened":               {[]write{lost(ack("a", "", 1, 2)), ack("b", "a", 3, 4)}, true},
		"an unknown one that did not happen":         {[]write{ack("a", "", 1, 2), lost(ack("b", "a", 3, 4)), ack("c", "a", 5, 6)}, true},
		"an unknown deletion that happened late":     {[]write{ack("a", "", 1, 2), lost(gone(ack("b", "a", 3, 4))), ack("c", "", 50, 60)}, true},
		"two on one base":                            {[]write{ack("a", "", 1, 2), ack("b", "a", 3, 6), ack("c", "a", 4, 5)}, false},
		"an acknowledged one lost":                   {[]write{ack("a", "", 1, 2), ack("b", "a", 3, 4), ack("c", "a", 5, 6)}, false},
		"on a base that comes later":                 {[]write{ack("b", "a", 1, 2), ack("a", "", 3, 4)}, false},
		"on an unknown one that began later":         {[]write{ack("b", "a", 1, 2), lost(ack("a", "", 3, 4))}, false},
		"an unknown one that happened twice":         {[]write{lost(ack("a", "", 1, 2)), ack("b", "a", 3, 4), gone(ack("c", "b", 5, 6)), ack("d", "a", 7, 8)}, false},
		"created while it was there":                 {[]write{ack("a", "", 1, 2), ack("b", "", 3, 4)}, false},
		"made anew after a deletion that was undone": {[]write{ack("a", "", 1, 2), gone(ack("b", "a", 3, 4)), ack("c", "a", 5, 6)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var found complaints
			checkLinear(&found, test.writes)
			if (found == 0) != test.right {
				t.Errorf("the model finds %d faults, right is %t", found, test.right)
			}
		})
	}
}
