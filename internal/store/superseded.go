package store

import "sort"

// superseded counts the bodies of versions that are not current any more, tombstones among them, and lets go of the
// oldest ones when they are too many. What was let go is fetched from the stream when somebody needs it.
type superseded struct {
	queue []oldVersion
	bytes int
}

type oldVersion struct {
	of  *history
	seq uint64
}

// add notes that a version was superseded. Versions of other clusters have no body and don't count.
func (s *superseded) add(h *history, v *version) {
	if len(v.body) == 0 {
		return
	}
	s.queue = append(s.queue, oldVersion{of: h, seq: v.seq})
	s.bytes += len(v.body)
}

// drop notes that versions have left their history.
func (s *superseded) drop(gone []*version) {
	for _, v := range gone {
		s.bytes -= len(v.body)
	}
}

// shed lets go of the oldest bodies until at most keep bytes remain.
func (s *superseded) shed(keep int) {
	n := 0
	for ; s.bytes > keep && n < len(s.queue); n++ {
		h := s.queue[n].of
		i, ok := h.find(s.queue[n].seq)
		if !ok || h.versions[i].body == nil {
			continue
		}
		// Readers may hold the version: it is replaced, not changed.
		light := *h.versions[i]
		s.bytes -= len(light.body)
		light.body = nil
		h.versions[i] = &light
	}
	s.queue = s.queue[n:]
}

// tidy forgets versions that are not in their history any more.
func (s *superseded) tidy() {
	kept := make([]oldVersion, 0, len(s.queue))
	for _, old := range s.queue {
		if _, ok := old.of.find(old.seq); ok {
			kept = append(kept, old)
		}
	}
	s.queue = kept
}

// find returns the place of a version.
func (h *history) find(seq uint64) (int, bool) {
	i := sort.Search(len(h.versions), func(i int) bool { return h.versions[i].seq >= seq })
	return i, i < len(h.versions) && h.versions[i].seq == seq
}
