package store

// garbage remembers which messages of the stream nobody needs any more, for whoever purges.
//
// A tombstone leaves the stream one compaction after the messages before it. A replica that is reading the stream from
// its beginning may have read an object before its purge; if the tombstone went with the object, that replica would
// never learn of the deletion.
type garbage struct {
	cycle uint64            // revision of the compact record that is being applied
	due   map[string]refuse // by the tail of the subject
	wait  map[string]uint64 // tombstone, due with the next compaction
}

// refuse is what can go of one subject: all below a sequence.
type refuse struct {
	below uint64
	cycle uint64
}

func newGarbage() garbage {
	return garbage{due: map[string]refuse{}, wait: map[string]uint64{}}
}

func (g *garbage) below(subject string, seq uint64) {
	g.due[subject] = refuse{below: max(g.due[subject].below, seq), cycle: g.cycle}
}

func (g *garbage) tombstone(subject string, seq uint64) {
	g.wait[subject] = max(g.wait[subject], seq)
}

// next begins a cycle: the tombstones of the one before become due.
func (g *garbage) next(cycle uint64) {
	g.cycle = cycle
	for subject, seq := range g.wait {
		g.below(subject, seq+1)
	}
	clear(g.wait)
}

// take returns what is due and forgets it.
func (g *garbage) take() map[string]refuse {
	due := g.due
	g.due = map[string]refuse{}
	return due
}

// purged forgets what another replica has removed.
func (g *garbage) purged(cycle uint64) {
	for subject, r := range g.due {
		if r.cycle <= cycle {
			delete(g.due, subject)
		}
	}
}
