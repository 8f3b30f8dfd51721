package rotation

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
)

const (
	lookTick = 250 * time.Millisecond
	lookWait = 5 * time.Second
)

// lookout looks at Secrets by name, each once in an interval. It is safe for concurrent use.
type lookout struct {
	versions Versions
	every    time.Duration
	now      func() time.Time
	random   func() float64

	mu     sync.Mutex
	sights map[types.NamespacedName]sight
	// next is when a Secret that somebody was given is looked at.
	next map[types.NamespacedName]time.Time
}

func newLookout(o Options) *lookout {
	return &lookout{
		versions: o.Versions, every: o.Every, now: o.Now, random: o.Random,
		sights: map[types.NamespacedName]sight{}, next: map[types.NamespacedName]time.Time{},
	}
}

// want names the Secrets that are looked at from now on; those of again are looked at soon.
func (l *lookout) want(wanted, again map[types.NamespacedName]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.next, func(k types.NamespacedName, _ time.Time) bool { return !wanted[k] })
	maps.DeleteFunc(l.sights, func(k types.NamespacedName, _ sight) bool { return !wanted[k] })
	for k := range wanted {
		if _, waits := l.next[k]; !waits || again[k] {
			l.next[k] = l.now()
		}
	}
}

// seen returns the last look at a Secret, nil before the first.
func (l *lookout) seen(secret types.NamespacedName) *sight {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.sights[secret]; ok {
		return &s
	}
	return nil
}

// run looks until ctx ends.
func (l *lookout) run(ctx context.Context) {
	tick := time.NewTicker(lookTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, secret := range l.due() {
				l.look(ctx, secret)
			}
		}
	}
}

func (l *lookout) due() (out []types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for secret, at := range l.next {
		if !now.Before(at) {
			out = append(out, secret)
		}
	}
	return out
}

// look reads the version of one Secret. Those of many are spread over the interval.
func (l *lookout) look(ctx context.Context, secret types.NamespacedName) {
	began, before := l.now(), ""
	if s := l.seen(secret); s != nil {
		before = s.ResourceVersion
	}
	limited, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	found, err := l.versions.Version(limited, secret, before)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		logr.FromContextOrDiscard(ctx).V(1).Info("Whether a Secret has changed could not be seen", "secret", secret.String(), "reason", err.Error())
	}
	if found.Changed.IsZero() {
		found.Changed = began
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, wanted := l.next[secret]; !wanted {
		return
	}
	if err == nil && found.ResourceVersion == before {
		found.Changed = l.sights[secret].Changed
	}
	l.sights[secret] = sight{Version: found, at: began, failed: err != nil}
	l.next[secret] = began.Add(time.Duration(float64(l.every) * (0.9 + 0.2*l.random())))
}
