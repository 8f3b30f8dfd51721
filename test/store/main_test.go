package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/storage/feature"

	"github.com/trellis-operator/trellis/internal/store"
)

func TestMain(m *testing.M) {
	if options := os.Getenv(serverEnv); options != "" {
		if err := serve(options); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv("TRELLIS_FAULTS") != "1" {
		fmt.Println("NOT RUN: the failure tests of the store take minutes and need a machine for themselves; TRELLIS_FAULTS=1 runs them")
		return
	}
	// As cli does at start.
	feature.DefaultFeatureSupportChecker = store.FeatureSupport{}
	os.Exit(m.Run())
}

// times returns how often something is done: short by default, long with TRELLIS_LONG=1.
func times(short, long int) int {
	if os.Getenv("TRELLIS_LONG") == "1" {
		return long
	}
	return short
}

// newChance returns the test's source of chance and prints its seed.
func newChance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TRELLIS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("TRELLIS_SEED: %v", err)
		}
	}
	report(t, "seed: TRELLIS_SEED=%d repeats the choices", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// between returns a random time.
func between(chance *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(chance.Int64N(int64(to-from)))
}

// report prints a line that is seen without -v too: the closing figures, the seed, and what is not run.
func report(t *testing.T, format string, args ...any) {
	fmt.Printf("%s: %s\n", t.Name(), fmt.Sprintf(format, args...))
}

// cannot ends a test for which this machine lacks something: loudly, and as a failure where CI=true.
func cannot(t *testing.T, why string, err error) {
	t.Helper()
	report(t, "NOT RUN: %s: %v", why, err)
	if os.Getenv("CI") == "true" {
		t.Fatalf("not run, and CI=true demands it: %s: %v", why, err)
	}
	t.SkipNow()
}

const patience = time.Minute

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
