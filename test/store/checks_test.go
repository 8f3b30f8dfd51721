package store

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// complaints counts what a check finds.
type complaints int

func (c *complaints) Helper()               {}
func (c *complaints) Errorf(string, ...any) { *c++ }

// TestChecks: the checks accept a right history, and find each fault in a wrong one.
func TestChecks(t *testing.T) {
	at := func(ms int) time.Time { return time.Time{}.Add(time.Duration(ms) * time.Millisecond) }
	truth := []event{{2, "x", watch.Added, "a"}, {3, "x", watch.Modified, "b"}, {4, "x", watch.Deleted, "b"}, {5, "x", watch.Added, "d"}}
	writes := []write{
		{id: "a", name: "x", revision: 2, began: at(1), ended: at(2)},
		{id: "b", name: "x", base: "a", revision: 3, began: at(3), ended: at(4)},
		{id: "c", name: "x", base: "b", deletes: true, outcome: unknown, began: at(3), ended: at(9)},
		{id: "d", name: "x", revision: 5, began: at(5), ended: at(6)},
		{id: "e", name: "x", outcome: refused, began: at(5), ended: at(6)},
		{id: "f", name: "x", base: "d", outcome: unknown, began: at(6), ended: at(9)},
	}
	lists := []list{{revision: 3, began: at(4), items: map[string]event{"x": {revision: 3, id: "b"}}}, {revision: 4, began: at(6), items: map[string]event{}}}
	check := func(truth []event, writes []write, lists []list, watched []event) (found complaints) {
		checkWrites(&found, truth, writes)
		checkLists(&found, truth, lists)
		checkFresh(&found, writes, lists)
		checkForward(&found, lists)
		checkWatched(&found, truth, "somebody", 2, watched)
		return found
	}
	if found := check(truth, writes, lists, truth[1:]); found != 0 {
		t.Fatalf("the checks find %d faults in a right history", found)
	}
	for name, spoil := range map[string]func(truth *[]event, writes []write, lists []list, watched *[]event){
		"a lost write":          func(truth *[]event, _ []write, _ []list, _ *[]event) { *truth = (*truth)[:3] },
		"a revision used again": func(truth *[]event, _ []write, _ []list, _ *[]event) { (*truth)[3].id = "z" },
		"a write twice": func(truth *[]event, _ []write, _ []list, _ *[]event) {
			*truth = append(*truth, event{6, "x", watch.Modified, "d"})
		},
		"a refused write that is there":  func(_ *[]event, w []write, _ []list, _ *[]event) { w[2].outcome = refused },
		"a write on another base":        func(_ *[]event, w []write, _ []list, _ *[]event) { w[1].base = "z" },
		"another revision acknowledged":  func(_ *[]event, w []write, _ []list, _ *[]event) { w[3].revision = 6 },
		"one revision for two writes":    func(_ *[]event, w []write, _ []list, _ *[]event) { w[4] = write{id: "e", name: "x", revision: 5} },
		"an order against time":          func(_ *[]event, w []write, _ []list, _ *[]event) { w[0].began = at(5) },
		"a gap in a watch":               func(_ *[]event, _ []write, _ []list, got *[]event) { *got = slices.Delete(*got, 1, 2) },
		"a duplicate in a watch":         func(_ *[]event, _ []write, _ []list, got *[]event) { *got = append(*got, (*got)[2]) },
		"a list of a state that was not": func(_ *[]event, _ []write, l []list, _ *[]event) { l[1].items["x"] = event{revision: 3, id: "b"} },
		"a replica that goes back":       func(_ *[]event, _ []write, l []list, _ *[]event) { l[0].began = at(8); l[1].began = at(4) },
		"a list that is too old":         func(_ *[]event, w []write, l []list, _ *[]event) { l[0].began = at(7) },
	} {
		t.Run(name, func(t *testing.T) {
			truth, writes, watched := slices.Clone(truth), slices.Clone(writes), slices.Clone(truth[1:])
			lists := []list{lists[0], {revision: 4, began: at(6), items: map[string]event{}}}
			spoil(&truth, writes, lists, &watched)
			if check(truth, writes, lists, watched) == 0 {
				t.Error("nothing was found")
			}
		})
	}
}
