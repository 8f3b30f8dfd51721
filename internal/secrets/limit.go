package secrets

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAskers have a rate of their own. Where NATS restricts nobody, names of host groups cost nothing.
const maxAskers = 4096

// rates limit how often an asker may ask.
type rates struct {
	limit rate.Limit
	burst int

	mu sync.Mutex
	of map[Asker]*rate.Limiter
	// swept is when those who ask no more were last looked for.
	swept time.Time
	// others share what is left when there are too many askers.
	others *rate.Limiter
}

func newRates(perSecond float64, burst int) *rates {
	limit := rate.Limit(perSecond)
	return &rates{limit: limit, burst: burst, of: map[Asker]*rate.Limiter{}, others: rate.NewLimiter(limit, burst)}
}

func (r *rates) allow(asker Asker, now time.Time) bool {
	return r.limiter(asker, now).AllowN(now, 1)
}

func (r *rates) limiter(asker Asker, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.of[asker]; ok {
		return known
	}
	if len(r.of) >= maxAskers && now.Sub(r.swept) > time.Second {
		r.forget(now)
	}
	if len(r.of) >= maxAskers {
		return r.others
	}
	r.of[asker] = rate.NewLimiter(r.limit, r.burst)
	return r.of[asker]
}

// forget drops those that have asked nothing for so long that a new limiter would be the same.
func (r *rates) forget(now time.Time) {
	r.swept = now
	for asker, limiter := range r.of {
		if limiter.TokensAt(now) >= float64(r.burst) {
			delete(r.of, asker)
		}
	}
}
