package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Range is a time between two bounds. The zero value is no time.
type Range struct{ Min, Max time.Duration }

// Fixed is always the same time.
func Fixed(d time.Duration) Range { return Range{Min: d, Max: d} }

func (r Range) fixed() bool { return r.Max <= r.Min }

func (r Range) pick(random *rand.Rand) time.Duration {
	if r.fixed() {
		return r.Min
	}
	return r.Min + time.Duration(random.Int64N(int64(r.Max-r.Min)+1))
}

// dice give random numbers by what they are for, so that it does not matter which goroutine asks first.
type dice struct {
	seed   uint64
	thrown map[uint64]uint64
}

func newDice(seed uint64) *dice { return &dice{seed: seed, thrown: map[uint64]uint64{}} }

// throw gives the numbers of the next occasion of this kind.
func (d *dice) throw(parts ...string) *rand.Rand {
	key := hashOf(parts...)
	n := d.thrown[key]
	d.thrown[key]++
	return rand.New(rand.NewPCG(d.seed^n*0x9e3779b97f4a7c15, key))
}

func hashOf(parts ...string) uint64 {
	h := fnv.New64a()
	for _, part := range parts {
		_, _ = h.Write([]byte(part)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}
