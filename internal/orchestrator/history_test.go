package orchestrator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// history is what happens around an orchestrator, as data: it can be cut, and run again.
type history struct {
	seed  uint64
	steps []step
	// kept are the numbers of the steps within the whole history of the seed.
	kept []int
}

// step is one thing that happens. All that it chooses follows from choice, so that it does the same when others are left out.
type step struct {
	verb   string
	choice uint64
	// pause is the time that goes by after it.
	pause time.Duration
}

func (s step) String() string { return fmt.Sprintf("%s(%d) then %s", s.verb, s.choice, s.pause) }

const (
	leastSteps  = 30
	leastFaults = 3
)

// generate makes the history of a seed.
func generate(seed uint64) history {
	random := rand.New(rand.NewPCG(seed, 99))
	var bag, faults []string
	for _, name := range slices.Sorted(maps.Keys(verbs)) {
		v := verbs[name]
		bag = append(bag, slices.Repeat([]string{name}, v.weight)...)
		if v.fault {
			faults = append(faults, name)
		}
	}
	h := history{seed: seed}
	for range leastSteps + random.IntN(12) {
		h.steps = append(h.steps, step{bag[random.IntN(len(bag))], random.Uint64N(1 << 20), pause(random)})
	}
	for h.faults() < leastFaults {
		h.steps[random.IntN(len(h.steps))].verb = faults[random.IntN(len(faults))]
	}
	for i := range h.steps {
		h.kept = append(h.kept, i)
	}
	h.insertDrains()
	return h
}

// firstDrain is the number of the first drain in a history: they are strewn in afterwards, and so that the others keep
// their numbers, in histories that were found before there were drains.
const firstDrain = 100

func (h *history) insertDrains() {
	random := rand.New(rand.NewPCG(h.seed, 101))
	for n := range random.IntN(5) {
		at := random.IntN(len(h.steps) + 1)
		h.steps = slices.Insert(h.steps, at, step{"drain", random.Uint64N(1 << 20), pause(random)})
		h.kept = slices.Insert(h.kept, at, firstDrain+n)
	}
}

// pause is none, short, or long enough for heartbeats and deadlines.
func pause(random *rand.Rand) time.Duration {
	most := []time.Duration{0, 20 * time.Millisecond, 2 * time.Second, 10 * time.Second, 70 * time.Second}[random.IntN(5)]
	if most == 0 {
		return 0
	}
	return time.Duration(random.Int64N(int64(most/time.Millisecond))) * time.Millisecond
}

func (h history) faults() (n int) {
	for _, s := range h.steps {
		if verbs[s.verb].fault {
			n++
		}
	}
	return n
}

// only keeps the steps at these places.
func (h history) only(places []int) history {
	out := history{seed: h.seed}
	for _, i := range places {
		out.steps, out.kept = append(out.steps, h.steps[i]), append(out.kept, h.kept[i])
	}
	return out
}

// String is how to run it again, and what it does.
func (h history) String() string {
	var numbers, lines []string
	for i, s := range h.steps {
		numbers = append(numbers, strconv.Itoa(h.kept[i]))
		lines = append(lines, fmt.Sprintf("  %2d %s", h.kept[i], s))
	}
	return fmt.Sprintf("go test ./internal/orchestrator -run 'TestHistories$' -histories 1 -seed %d -keep %s -v\n%s",
		h.seed, strings.Join(numbers, ","), strings.Join(lines, "\n"))
}

// keeping reads what String wrote.
func keeping(seed uint64, list string) (history, error) {
	h := generate(seed)
	if list == "" {
		return h, nil
	}
	var places []int
	for _, n := range strings.Split(list, ",") {
		number, err := strconv.Atoi(n)
		i := slices.Index(h.kept, number)
		if err != nil || i < 0 {
			return h, fmt.Errorf("history %d has no step %q", seed, n)
		}
		places = append(places, i)
	}
	return h.only(places), nil
}
