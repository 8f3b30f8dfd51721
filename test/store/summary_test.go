package store

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// check compares all that the clients were told with the stream at a URL.
func (l *load) check(url string) summary {
	l.t.Helper()
	// Everything up to the last message counts, also what the writers sent after the watchers' last look.
	end := write{id: "check", name: "the-end", began: time.Now()}
	eventually(l.t, "the closing write succeeds", func() bool {
		end.id = fmt.Sprintf("check-%d", time.Now().UnixNano())
		end.err = update(l.t.Context(), l.replicas[0], &end, nil)
		end.ended, end.outcome = time.Now(), outcomeOf(end.err)
		l.writes = append(l.writes, end)
		return end.outcome == acknowledged
	})
	truth := readTruth(l.t, url, end.revision)
	out := summary{writes: len(l.writes), revisions: len(truth), lists: len(l.lists)}
	for _, w := range l.writes {
		if w.outcome == acknowledged {
			out.acknowledged++
		} else if w.outcome == unknown {
			out.unknown++
		}
	}
	out.landed = checkWrites(l.t, truth, l.writes)
	checkLists(l.t, truth, l.lists)
	for _, w := range l.watchers {
		if err := w.failure(); err != nil {
			l.t.Errorf("%s: %v", w.name, err)
		}
		got := w.events()
		out.watched += len(got)
		out.resumed += w.resumptions
		upTo, _ := slices.BinarySearchFunc(truth, w.position()+1, func(e event, r uint64) int { return cmp.Compare(e.revision, r) })
		checkWatched(l.t, truth[:upTo], w.name, w.since, got)
	}
	return out
}

// summary is what a load has proved.
type summary struct {
	writes, acknowledged, unknown, landed, revisions, lists, watched, resumed int
}

func (s summary) String() string {
	return fmt.Sprintf("%d writes tried, %d acknowledged, %d of unknown outcome of which %d are in the stream, %d revisions, %d lists, %d events watched, %d resumptions",
		s.writes, s.acknowledged, s.unknown, s.landed, s.revisions, s.lists, s.watched, s.resumed)
}
