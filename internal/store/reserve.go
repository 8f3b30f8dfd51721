package store

import (
	"context"
	"errors"
)

// A store that is full can't write the record of a compaction, and so could never make room again. The reserve is a
// message without meaning that is given up for it. NATS refuses a message once the limit is exceeded, which the one before
// may have done by its own size.
const reserveSize = MaxObject + 128<<10

// keepReserve writes the reserve where there is none.
func (s *Store) keepReserve(ctx context.Context) error {
	if s.index.reserved() > 0 {
		return nil
	}
	_, err := s.publish(ctx, put{tail: metaTail(metaReserve), body: make([]byte, reserveSize)})
	if errors.Is(err, errLostRace) {
		return nil
	}
	return err
}

// giveReserve purges the reserve and says whether there was one.
func (s *Store) giveReserve(ctx context.Context) bool {
	at := s.index.reserved()
	if position, _ := s.index.where(); at == 0 || at == position { // the newest message is never purged
		return false
	}
	if err := s.api.purge(ctx, s.head()+metaTail(metaReserve), at+1); err != nil {
		return false
	}
	s.index.reserve(0)
	return true
}

// reserved is the sequence of the reserve, 0 when there is none.
func (x *index) reserved() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.reserveAt
}

func (x *index) reserve(at uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reserveAt = at
}
