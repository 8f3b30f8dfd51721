package store

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// checkWrites compares what clients were told with what the stream holds. It returns how many writes of unknown outcome
// are there.
func checkWrites(t reporter, truth []event, writes []write) (landed int) {
	t.Helper()
	owner := owners(t, truth, writes)
	for _, w := range owner {
		if w.outcome == unknown {
			landed++
		}
	}
	checkChain(t, truth, owner)
	checkOrder(t, writes)
	return landed
}

// owners finds for each revision the write that made it. Acknowledged writes must have theirs, refused ones none.
func owners(t reporter, truth []event, writes []write) map[uint64]write {
	t.Helper()
	owner := map[uint64]write{}
	byID, deletions := index(truth)
	for _, w := range writes {
		found, is := byID[w.id]
		if w.deletes {
			found, is = deletions[deletion{w.name, w.base}]
			is = is && (w.outcome == unknown || w.outcome == acknowledged && w.revision == found.revision)
		}
		switch {
		case w.outcome == acknowledged && (!is || found.revision != w.revision || found.name != w.name):
			t.Errorf("%s was acknowledged, the stream has %+v", w, found)
		case w.outcome == refused && is:
			t.Errorf("%s was refused, and is in the stream: %+v", w, found)
		case is && (owner[found.revision].id == "" || w.outcome == acknowledged): // several may have tried one deletion
			owner[found.revision] = w
		}
	}
	return owner
}

// deletion is a tombstone by what it deletes: content is written once, so it can be deleted once.
type deletion struct{ name, id string }

func index(truth []event) (byID map[string]event, deletions map[deletion]event) {
	byID, deletions = map[string]event{}, map[deletion]event{}
	for _, e := range truth {
		if e.kind == watch.Deleted {
			deletions[deletion{e.name, e.id}] = e
		} else if _, twice := byID[e.id]; !twice {
			byID[e.id] = e
		}
	}
	return byID, deletions
}

// checkChain wants every change of the stream to be somebody's write, once, on top of what its writer had seen.
func checkChain(t reporter, truth []event, owner map[uint64]write) {
	t.Helper()
	now := map[string]string{}
	for _, e := range truth {
		w, known := owner[e.revision]
		switch {
		case !known:
			t.Errorf("revision %d is nobody's, or one write twice: %+v", e.revision, e)
		case now[e.name] != w.base:
			t.Errorf("%s was made on %q, and the stream has it on %q", w, w.base, now[e.name])
		}
		now[e.name] = e.id
		if e.kind == watch.Deleted {
			now[e.name] = ""
		}
	}
}

// checkOrder wants a write that began after another one was acknowledged to have the higher revision, and no revision to
// be acknowledged twice.
func checkOrder(t reporter, writes []write) {
	t.Helper()
	done := slices.DeleteFunc(slices.Clone(writes), func(w write) bool { return w.outcome != acknowledged })
	slices.SortFunc(done, func(a, b write) int { return cmp.Compare(b.revision, a.revision) })
	var earliest, above write // the first to end of those with higher revisions; the one with the next higher revision
	for _, w := range done {
		if earliest.id != "" && earliest.ended.Before(w.began) {
			t.Errorf("%s was acknowledged before %s began, and has the higher revision", earliest, w)
		}
		if above.revision == w.revision {
			t.Errorf("two writes were acknowledged with one revision: %s and %s", above, w)
		}
		if earliest.id == "" || w.ended.Before(earliest.ended) {
			earliest = w
		}
		above = w
	}
}

// checkWatched wants what a watcher has seen since a revision to be the stream, without gap and without duplicate.
func checkWatched(t reporter, truth []event, who string, since uint64, got []event) {
	t.Helper()
	at, _ := slices.BinarySearchFunc(truth, since+1, func(e event, revision uint64) int { return cmp.Compare(e.revision, revision) })
	want := truth[at:]
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Errorf("%s has seen %+v as number %d since revision %d, the stream has %+v", who, got[i], i, since, want[i])
			return
		}
	}
	if len(want) != len(got) {
		t.Errorf("%s has seen %d changes since revision %d, the stream has %d", who, len(got), since, len(want))
	}
}

// checkLists wants each list to be exactly the state at its revision.
func checkLists(t reporter, truth []event, lists []list) {
	t.Helper()
	slices.SortFunc(lists, func(a, b list) int { return cmp.Compare(a.revision, b.revision) })
	state, next := map[string]event{}, 0
	for _, l := range lists {
		for ; next < len(truth) && truth[next].revision <= l.revision; next++ {
			if e := truth[next]; e.kind == watch.Deleted {
				delete(state, e.name)
			} else {
				state[e.name] = e
			}
		}
		if len(l.items) != len(state) {
			t.Errorf("the list at revision %d has %d objects, the stream had %d", l.revision, len(l.items), len(state))
			return
		}
		for name, got := range l.items {
			if want := state[name]; got.revision != want.revision || got.id != want.id {
				t.Errorf("the list at revision %d has %+v, the stream had %+v", l.revision, got, want)
				return
			}
		}
	}
}

// checkFresh wants each list to have what was acknowledged before it was asked for.
func checkFresh(t reporter, writes []write, lists []list) {
	t.Helper()
	if b := behind(writes, lists); b.lists > 0 {
		t.Errorf("%s", b)
	}
}

// checkForward wants no replica to go back behind what it has listed.
func checkForward(t reporter, lists []list) {
	t.Helper()
	newest := map[int]uint64{}
	ordered := slices.SortedFunc(slices.Values(lists), func(a, b list) int { return a.began.Compare(b.began) })
	for _, l := range ordered { // a replica is asked one list after another
		if l.revision < newest[l.replica] {
			t.Errorf("replica %d lists revision %d after %d", l.replica, l.revision, newest[l.replica])
		}
		newest[l.replica] = l.revision
	}
}

// staleness is how far consistent lists were behind writes that had been acknowledged before they were asked for.
type staleness struct {
	lists, of int
	worst     time.Duration
	list      list  // the worst one
	lacks     write // the oldest write that it lacks
}

func (s staleness) String() string {
	if s.lists == 0 {
		return fmt.Sprintf("none of %d consistent lists was behind an acknowledged write", s.of)
	}
	return fmt.Sprintf("%d of %d consistent lists were behind an acknowledged write, at most by %s: the one of replica %d, asked for at %s and answered at %s, is of revision %d and lacks %s, acknowledged at %s",
		s.lists, s.of, s.worst.Round(time.Millisecond), s.list.replica, clock(s.list.began), clock(s.list.ended), s.list.revision, s.lacks, clock(s.lacks.ended))
}

func clock(at time.Time) string { return at.Format("15:04:05.000") }

func behind(writes []write, lists []list) (out staleness) {
	out.of = len(lists)
	for _, l := range lists {
		var most time.Duration
		for _, w := range writes {
			if w.outcome != acknowledged || w.revision <= l.revision || !w.ended.Before(l.began) {
				continue
			}
			most = max(most, l.began.Sub(w.ended))
			if most > out.worst {
				out.worst, out.list, out.lacks = most, l, w
			}
		}
		if most > 0 {
			out.lists++
		}
	}
	return out
}

// wakeUp is how long a server that was stopped may take to learn that others went on without it.
const wakeUp = 2 * time.Second

// apart takes the lists that a server may have answered which had just been woken from the others.
func apart(lists []list, woken []time.Time) (asleep, others []list) {
	for _, l := range lists {
		if slices.ContainsFunc(woken, func(at time.Time) bool { return l.ended.After(at) && l.began.Before(at.Add(wakeUp)) }) {
			asleep = append(asleep, l)
		} else {
			others = append(others, l)
		}
	}
	return asleep, others
}
