package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/apis/example"

	"github.com/trellis-operator/trellis/internal/store"
)

const (
	writers = 16
	// objects are few, so that writers meet.
	objects = 12
)

// load is clients that write, list and watch all the time, and remember what they were told.
type load struct {
	t        *testing.T
	replicas []*replica

	stop context.CancelFunc
	done sync.WaitGroup

	acked    [writers]atomic.Int64 // successes of each writer
	mu       sync.Mutex
	writes   []write
	lists    []list
	watchers []*watcher
}

// startLoad starts writers, readers and watchers on replicas of the store.
func startLoad(t *testing.T, chance *rand.Rand, replicas ...*replica) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{t: t, replicas: replicas, stop: stop}
	t.Cleanup(func() { stop(); l.done.Wait() })
	for i := range writers {
		own := rand.New(rand.NewPCG(chance.Uint64(), 0))
		l.done.Go(func() { l.write(ctx, i, own, replicas[i%len(replicas)]) })
	}
	for i, r := range replicas {
		l.done.Go(func() { l.list(ctx, i) })
		l.watchers = append(l.watchers, &watcher{name: fmt.Sprintf("the watch that stays on replica %d", i), on: []*replica{r}})
	}
	l.watchers = append(l.watchers, &watcher{name: "the watch that resumes here and there", on: replicas,
		resumes: true, chance: rand.New(rand.NewPCG(chance.Uint64(), 0))})
	for _, w := range l.watchers {
		w.since = 1
		l.done.Go(func() { w.run(ctx) })
	}
	return l
}

// write makes one write after another until the context ends.
func (l *load) write(ctx context.Context, number int, chance *rand.Rand, r *replica) {
	for n := 0; ctx.Err() == nil; n++ {
		w := write{id: fmt.Sprintf("%d-%d", number, n), name: "object-" + strconv.Itoa(chance.IntN(objects))}
		ballast := bytes.Repeat([]byte{'x'}, ballastSize(chance))
		w.began = time.Now()
		switch dice := chance.IntN(10); {
		case dice < 6:
			w.err = update(ctx, r, &w, ballast)
		case dice < 8:
			w.err = create(ctx, r, &w, ballast)
		default:
			w.err = remove(ctx, r, &w)
		}
		w.ended, w.outcome = time.Now(), outcomeOf(w.err)
		l.mu.Lock()
		l.writes = append(l.writes, w)
		l.mu.Unlock()
		if w.outcome == acknowledged {
			l.acked[number].Add(1)
		} else if w.outcome == unknown || errors.Is(w.err, store.ErrUnavailable) {
			pause(ctx, 5*time.Millisecond) // the server is away
		}
	}
}

// ballastSize is mostly little; some large ones make the stream fill several files.
func ballastSize(chance *rand.Rand) int {
	if chance.IntN(50) == 0 {
		return 128 << 10
	}
	return chance.IntN(4 << 10)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// list makes consistent lists until the context ends.
func (l *load) list(ctx context.Context, number int) {
	for ctx.Err() == nil {
		got := list{replica: number, began: time.Now(), items: map[string]event{}}
		out := &example.PodList{}
		if err := l.replicas[number].pods.GetList(ctx, "/pods/", everything(""), out); err == nil {
			got.revision, got.ended = revisionOfList(out), time.Now()
			for i := range out.Items {
				pod := &out.Items[i]
				got.items[pod.Name] = event{revision: revisionOf(pod), id: writeOf(pod)}
			}
			l.mu.Lock()
			l.lists = append(l.lists, got)
			l.mu.Unlock()
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func revisionOfList(l *example.PodList) uint64 {
	revision, err := strconv.ParseUint(l.ResourceVersion, 10, 64)
	if err != nil {
		return 0 // no list of the store has it: the comparison fails
	}
	return revision
}

// progress waits until every writer has had a success since now.
func (l *load) progress(what string) {
	l.t.Helper()
	all := make([]int, len(l.replicas))
	for i := range all {
		all[i] = i
	}
	l.progressOf(what, all...)
}

// progressOf is progress of the writers on some replicas.
func (l *load) progressOf(what string, replicas ...int) {
	l.t.Helper()
	var before [writers]int64
	for i := range before {
		before[i] = l.acked[i].Load()
	}
	eventually(l.t, "every writer goes on "+what, func() bool {
		for i := range before {
			if slices.Contains(replicas, i%len(l.replicas)) && l.acked[i].Load() == before[i] {
				return false
			}
		}
		return true
	})
}

// total is the number of acknowledged writes.
func (l *load) total() (n int64) {
	for i := range l.acked {
		n += l.acked[i].Load()
	}
	return n
}

// finish ends the writers, waits until every watcher has seen the last write, and ends all. It returns the last revision.
func (l *load) finish() uint64 {
	l.t.Helper()
	var last uint64
	eventually(l.t, "a last write succeeds", func() bool {
		w := write{id: fmt.Sprintf("end-%d", time.Now().UnixNano()), name: "the-end", began: time.Now()}
		w.err = update(l.t.Context(), l.replicas[0], &w, nil)
		w.ended, w.outcome = time.Now(), outcomeOf(w.err)
		l.mu.Lock()
		l.writes = append(l.writes, w)
		l.mu.Unlock()
		last = w.revision
		return w.outcome == acknowledged
	})
	for _, w := range l.watchers {
		eventually(l.t, w.name+" sees the last write", func() bool { return w.position() >= last || w.failure() != nil })
	}
	l.stop()
	l.done.Wait()
	return last
}
