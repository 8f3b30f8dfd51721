package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// tick sends progress notes.
func (s *Store) tick(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Progress)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.index.poke()
		case <-ctx.Done():
			return
		}
	}
}

// compactor gives up history that is older than Config.History, again and again. Every replica tries, one of them wins
// the compare-and-set and purges.
func (s *Store) compactor(ctx context.Context) {
	if s.cfg.CompactEvery < 0 {
		return
	}
	ticker := time.NewTicker(s.cfg.CompactEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		// What fails now is done by the next round, here or elsewhere.
		_ = s.compactOnce(ctx)
	}
}

func (s *Store) compactOnce(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	_, compacted := s.index.where()
	revision := s.index.compactable(time.Now().Add(-s.cfg.History))
	if revision <= compacted {
		return s.keepReserve(ctx)
	}
	record, err := s.compact(ctx, revision)
	if errors.Is(err, ErrFull) && s.giveReserve(ctx) {
		record, err = s.compact(ctx, revision)
	}
	if err != nil {
		return err
	}
	s.peers.wait(ctx, record, s.cfg.PurgeAfter)
	return errors.Join(s.purge(ctx, record), s.keepReserve(ctx))
}

// compact writes the compact record and returns its revision. Purging is the second step: see purge.
func (s *Store) compact(ctx context.Context, revision uint64) (uint64, error) {
	body, err := json.Marshal(compactRecord{Format: formatVersion, Revision: revision})
	if err != nil {
		return 0, fmt.Errorf("encode the compact record: %w", err)
	}
	s.index.mu.RLock()
	expect := s.index.record
	s.index.mu.RUnlock()
	record, err := s.publish(ctx, put{tail: metaTail(metaCompact), expect: expect, body: body})
	if err != nil {
		return 0, err
	}
	if err := s.index.reach(ctx, record); err != nil {
		return 0, s.readFailed(ctx, err)
	}
	return record, nil
}

// purge removes from the stream what compactions up to a record have given up. The stream's newest message stays in any
// case: the record, or something after it. (Without a message the stream would forget its last sequence.) Every purge
// can be repeated.
func (s *Store) purge(ctx context.Context, record uint64) error {
	var failures []error
	for tail, r := range s.index.takeGarbage() {
		if err := s.api.purge(ctx, s.head()+tail, r.below); err != nil {
			s.index.keepGarbage(tail, r.below)
			failures = append(failures, err)
		}
	}
	if len(failures) == 0 {
		s.peers.done(record)
	}
	return errors.Join(failures...)
}

func (x *index) takeGarbage() map[string]refuse {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.garbage.take()
}

func (x *index) keepGarbage(subject string, below uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.garbage.below(subject, below)
}
