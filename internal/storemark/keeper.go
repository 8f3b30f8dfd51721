package storemark

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Store is what a replica serves.
type Store interface {
	View
	Judge
}

// View is what the replica knows.
type View interface {
	// Served is what this replica has served; without an identity before it has read the store.
	Served() Mark
	// Changed says why nothing is served, or nil.
	Changed() error
	// Alarm is closed when Changed begins; nil when it has begun.
	Alarm() <-chan struct{}
}

// Judge asks NATS about the store, and decides.
type Judge interface {
	// Verify returns nil if the store is, at this moment, the one that is served.
	Verify(ctx context.Context) error
	// Found is the store that there is.
	Found(ctx context.Context) (Mark, error)
	// Recheck ends Changed if the very store that was served is back.
	Recheck(ctx context.Context) (bool, error)
	// AcceptOnly serves the store anew, if it is this one.
	AcceptOnly(m Mark)
}

// Defaults of Config.
const (
	DefaultEvery = 3 * time.Second
	// DefaultGrace is longer than a running replica needs to notice that the record is gone.
	DefaultGrace = DefaultEvery + 2*time.Second

	// hurry is the time between two looks while this replica is about to settle.
	hurry = 250 * time.Millisecond
)

// Config of a Keeper. Store and Shelf are required.
type Config struct {
	Shelf Shelf
	// CaughtUp returns when what this process remembers of the store is what the store has. Default: at once.
	CaughtUp func(ctx context.Context) error
	// Told is called with each new problem, and with "" when it is over. Default: nothing.
	Told func(problem string)
	// Failed is told what went wrong; it is tried again. Default: nothing.
	Failed func(error)
	// Every is the time between two looks, and so the least time between two writes. Default: DefaultEvery.
	Every time.Duration
	// Grace is how long a replica that finds no record waits for others to put it back. Negative: not at all.
	// Default: DefaultGrace.
	Grace time.Duration
}

// Keeper keeps the record up to date, and says whether what this replica knows is the truth.
type Keeper struct {
	config Config
	store  Store
	began  time.Time

	known   *Record // the record as it was seen last
	told    string
	settled atomic.Bool
	changes chan struct{}
}

// Open reads the record. Expect is what the store must be: nil where nothing is kept.
func Open(ctx context.Context, c Config) (k *Keeper, expect *Mark, err error) {
	if c.Every <= 0 {
		c.Every = DefaultEvery
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	k = &Keeper{config: c, began: time.Now(), changes: make(chan struct{}, 1)}
	record, _, err := c.Shelf.Load(ctx)
	switch {
	case errors.Is(err, ErrNone):
		return k, nil, nil
	case err != nil:
		return nil, nil, err
	}
	k.known = &record
	return k, &record.Served, nil
}

// Settled says whether the store is the one on record and this process is up to date with it. Before Run it is not.
func (k *Keeper) Settled() bool {
	return k.settled.Load() && k.store.Changed() == nil
}

// Changes gets a value after Settled has changed.
func (k *Keeper) Changes() <-chan struct{} { return k.changes }

// Run looks after the record of a store until ctx ends. It is called once.
func (k *Keeper) Run(ctx context.Context, s Store) {
	k.store = s
	for {
		if err := k.Look(ctx); err != nil && ctx.Err() == nil && k.config.Failed != nil {
			k.config.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(k.pause()):
		case <-k.alarm():
			k.settle(false)
		}
	}
}

func (k *Keeper) pause() time.Duration {
	if k.settled.Load() || k.store.Changed() != nil {
		return k.config.Every
	}
	return min(k.config.Every, hurry)
}

// alarm never fires while the store has changed already.
func (k *Keeper) alarm() <-chan struct{} {
	if k.store.Changed() != nil {
		return nil
	}
	return k.store.Alarm()
}

func (k *Keeper) settle(now bool) {
	if k.settled.Swap(now) == now {
		return
	}
	select {
	case k.changes <- struct{}{}:
	default:
	}
}

// Attach names the store for Look without Run.
func (k *Keeper) Attach(s Store) { k.store = s }

// Look compares record and store once, and brings each up to date with the other.
func (k *Keeper) Look(ctx context.Context) error {
	record, version, err := k.config.Shelf.Load(ctx)
	switch {
	case errors.Is(err, ErrNone):
		if k.known == nil && time.Since(k.began) < k.config.Grace {
			return nil // others may have served another store, and are about to say so
		}
		if k.known != nil {
			record = *k.known
		}
		version = ""
	case err != nil:
		return err
	default:
		k.follow(record)
	}
	next, err := k.next(ctx, record)
	if err != nil {
		return err
	}
	k.tell(next.Problem)
	if next != record || version == "" && next.Served.Identity != "" {
		if err := k.config.Shelf.Save(ctx, next, version); errors.Is(err, ErrConflict) {
			return nil // what they wrote is read by the next look
		} else if err != nil {
			return err
		}
		k.known = &next
	}
	return k.catchUp(ctx)
}

// follow takes over what was accepted, here or through another replica.
func (k *Keeper) follow(record Record) {
	if k.known != nil && record.Generation != k.known.Generation {
		k.settle(false)
		k.store.AcceptOnly(record.Served)
	}
	k.known = &record
}

// next is what the record should be.
func (k *Keeper) next(ctx context.Context, record Record) (Record, error) {
	changed := k.store.Changed()
	if changed != nil {
		k.settle(false)
		back, err := k.store.Recheck(ctx)
		if err != nil {
			return record, fmt.Errorf("look for the store that was served: %w", err)
		}
		if !back {
			return k.problem(ctx, record, changed)
		}
	}
	served := k.store.Served()
	switch {
	case served.Identity == "":
		return record, nil // not read yet
	case record.Served.Identity == "":
		record.Served = Mark{Identity: served.Identity, Revision: max(served.Revision, record.Served.Revision)}
	case record.Served.Identity != served.Identity:
		// Two replicas began with two stores, and the other one was first.
		k.settle(false)
		k.store.AcceptOnly(record.Served)
		return record, nil
	}
	if record.Problem != "" && k.store.Verify(ctx) != nil {
		return record, nil // another replica was faster to notice
	}
	record.Served.Revision = max(record.Served.Revision, served.Revision)
	record.Problem, record.Found = "", Mark{}
	return record, nil
}

func (k *Keeper) problem(ctx context.Context, record Record, changed error) (Record, error) {
	found, err := k.store.Found(ctx)
	if err != nil {
		return record, fmt.Errorf("look at the store that is there: %w", err)
	}
	record.Problem, record.Found = changed.Error(), found
	return record, nil
}

// catchUp settles when everything agrees.
func (k *Keeper) catchUp(ctx context.Context) error {
	if k.settled.Load() || k.known == nil || k.store.Changed() != nil || k.store.Served().Identity != k.known.Served.Identity {
		return nil
	}
	if k.config.CaughtUp != nil {
		ctx, cancel := context.WithTimeout(ctx, k.config.Every)
		defer cancel()
		if err := k.config.CaughtUp(ctx); err != nil {
			return fmt.Errorf("wait until what is remembered is what the store has: %w", err)
		}
	}
	if k.store.Changed() == nil {
		k.settle(true)
	}
	return nil
}

func (k *Keeper) tell(problem string) {
	if problem != k.told && k.config.Told != nil {
		k.config.Told(problem)
	}
	k.told = problem
}
