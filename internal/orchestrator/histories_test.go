package orchestrator

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	histories = flag.Int("histories", 150, "how many random histories to run")
	forTime   = flag.Duration("for", 0, "run histories for so long, however many they are")
	firstSeed = flag.Uint64("seed", 1, "the first seed of the random histories")
	keep      = flag.String("keep", "", "keep only these steps of the history, as a failure printed them")
	goOn      = flag.Bool("goon", false, "do not stop at the first history that fails")
)

// tries is how often a history that failed is run again: goroutines that are due at the same moment run in any order.
const tries = 12

// TestHistories runs random histories: applications come, change, move and go, hosts die, restart and go deaf, messages
// are lost, late and doubled, stores are lost and restored, processes hand over and freeze. Throughout, a court judges
// every command; when it ends, the lattice is what the applications say, nothing else is left in it, and it stays so
// without commands, also through an outage more.
func TestHistories(t *testing.T) {
	if *keep != "" {
		rerun(t)
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // little lives, and much is thrown away
	began := time.Now()
	ran, failed := runHistories(t)
	t.Logf("%d histories in %s, seeds from %d", ran, time.Since(began).Round(time.Second), *firstSeed)
	if failed == nil {
		return
	}
	fails := func(h history) bool { return failsAgain(t, h, failed.found.invariant) }
	h := failed.history
	if *quick {
		t.Fatalf("history %d failed after %d histories: %v\n%s", h.seed, ran, failed.found, h)
	}
	if !fails(h) {
		t.Fatalf("history %d failed after %d histories and passes now, %d times: %v\n%s", h.seed, ran, tries, failed.found, h)
	}
	h = shrink(h, fails)
	var log *journal
	var found *violation
	for i := 0; i < 10*tries && found == nil; i++ {
		log = &journal{}
		found = try(t, h, log)
	}
	// The log is long: what it shows stands before and after it.
	t.Fatalf("history %d breaks an invariant after %d histories: %v\nThe least that does so (%v):\n%s\n%s\n%s\n%v",
		h.seed, ran, failed.found, found, h, strings.Join(log.lines, "\n"), h, failed.found)
}

func failsAgain(t *testing.T, h history, with invariant) bool {
	t.Helper()
	for range tries {
		if v := try(t, h, nil); v != nil && v.invariant == with {
			return true
		}
	}
	return false
}

// rerun runs one history, or what was kept of it.
func rerun(t *testing.T) {
	h, err := keeping(*firstSeed, *keep)
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	v := try(t, h, log)
	t.Logf("%s\n%s", h, strings.Join(log.lines, "\n"))
	if v != nil {
		t.Error(v)
	}
}

// failure is a history that broke an invariant.
type failure struct {
	history history
	found   *violation
}

// runHistories runs histories beside each other, and stops after the first that fails.
func runHistories(t *testing.T) (ran int64, first *failure) {
	var next, done atomic.Int64
	var mu sync.Mutex
	var stop atomic.Bool
	until := time.Now().Add(*forTime)
	more := func() (seed uint64, ok bool) {
		n := next.Add(1) - 1
		if stop.Load() || *forTime > 0 && time.Now().After(until) || *forTime == 0 && n >= int64(*histories) {
			return 0, false
		}
		return *firstSeed + uint64(n), true
	}
	t.Run("all", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for seed, ok := more(); ok; seed, ok = more() {
					h := generate(seed)
					v := try(t, h, nil)
					done.Add(1)
					if v == nil {
						continue
					}
					t.Logf("history %d: %v", seed, v)
					mu.Lock()
					if first == nil {
						first = &failure{h, v}
					}
					mu.Unlock()
					stop.Store(!*goOn)
				}
			})
		}
	})
	return done.Load(), first
}
