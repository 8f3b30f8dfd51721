package rotation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
)

const (
	// idleOutcomes that have counted for nothing for so long are forgotten.
	idleOutcomes = time.Hour
	// unableFor is how long a host is not asked for what it did not know.
	unableFor = 10 * time.Minute
	// workWait bounds one message to a host, one write of a status, and one removal.
	workWait = 10 * time.Second
)

// term is the time for which this process leads.
type term struct {
	*Rotation
	book    *book
	lookout *lookout
	pace    *pace
	lags    *lags
	cancel  context.CancelFunc
	work    sync.WaitGroup
	ended   []<-chan struct{}

	mu sync.Mutex
	// unable are hosts that can't fetch without a restart, and until when that is taken for granted.
	unable map[string]time.Time
	// soon are places whose turn comes at once, since the host was found unable.
	soon []Place
}

func (r *Rotation) begin(ctx context.Context) *term {
	ctx, cancel := context.WithCancel(ctx)
	t := &term{
		Rotation: r, book: newBook(r.options.Now), lookout: newLookout(r.options), pace: newPace(),
		lags: &lags{since: map[spot]Version{}}, cancel: cancel, unable: map[string]time.Time{},
	}
	t.ended = append(t.ended, r.options.Outcomes.Watch(ctx, r.options.Lattice, t.book.watch()))
	t.work.Go(func() { t.lookout.run(ctx) })
	return t
}

// end returns when all that was begun has ended.
func (t *term) end() {
	t.cancel()
	for _, done := range t.ended {
		<-done
	}
	t.work.Wait()
	t.options.Metrics.left(t.label)
}

// pass looks at everything once: it tells what has changed, and does what is due.
func (t *term) pass(ctx context.Context) {
	if !t.book.isSynced() || t.options.Hosts.Known() != nil {
		return
	}
	apps, err := t.options.Applications.Live(ctx)
	if err != nil {
		t.complain(ctx, "The secrets of applications can't be told", err)
		return
	}
	found := t.survey(apps)
	t.lookout.want(found.secrets, found.again)
	t.lags.keep(found.spots)
	t.options.Metrics.outdated(t.label, found.stale)
	for i, app := range apps {
		if found.told[i] == nil || equality.Semantic.DeepEqual(*found.told[i], app.Told) {
			continue
		}
		if err := t.report(ctx, app, *found.told[i]); err != nil {
			t.complain(ctx, "How the secrets of an application stand was not written into its status; trying again", err)
			return // nor would that of the others be
		}
	}
	t.deliver(ctx, found)
	t.clear(ctx)
}

// survey is what is found in one pass.
type survey struct {
	// told is the status of each application, nil as long as it is not known.
	told []*[]oam.SecretStatus
	// needs are the places that must fetch again.
	needs map[Place]need
	// secrets that are looked at; again are those that were overtaken.
	secrets, again map[types.NamespacedName]bool
	spots          map[spot]bool
	// there are the places where something runs.
	there map[Place]bool
	stale int
}

func (t *term) survey(apps []Application) *survey {
	s := &survey{
		told: make([]*[]oam.SecretStatus, len(apps)), needs: map[Place]need{},
		secrets: map[types.NamespacedName]bool{}, again: map[types.NamespacedName]bool{}, spots: map[spot]bool{}, there: map[Place]bool{},
	}
	for i, app := range apps {
		told, complete := []oam.SecretStatus(nil), true
		for _, w := range app.Wanted {
			f := facts{
				wanted: w, running: t.options.Hosts.Running(w.ID), outcomes: t.book.hosts(app.asks(w)),
				sight: t.lookout.seen(w.Secret), now: t.options.Now(),
			}
			places := judge(f)
			st := f.tell(places)
			told = append(told, st)
			complete = t.note(s, app, f, places) && complete
		}
		if complete {
			s.told[i] = &told
		}
	}
	return s
}

// note adds one wanted secret to the survey. False: the Secret was not looked at yet, so that its status is not known.
func (t *term) note(s *survey, app Application, f facts, places []place) (complete bool) {
	w, given := f.wanted, false
	var hosts []oam.SecretHost
	for _, p := range places {
		hosts = append(hosts, p.SecretHost)
		if !p.running {
			continue
		}
		given = given || p.Version != ""
		at := spot{app.asks(w), p.HostID}
		s.spots[at], s.there[app.place(w, p.HostID)] = true, true
		if p.change == changed {
			s.stale++
			t.lags.lacks(at, f.sight.Version)
		} else if lag, was := t.lags.has(at, f.outcomes[p.HostID].given); was {
			t.options.Metrics.delivered(t.label, lag)
		}
		s.need(app, f, p)
	}
	t.book.use(app.asks(w), hosts)
	if given {
		s.secrets[w.Secret] = true
		s.again[w.Secret] = s.again[w.Secret] || f.overtaken()
	}
	return !given || f.sight != nil
}

// need notes that a place must fetch again. One message does for all secrets of the component there.
func (s *survey) need(app Application, f facts, p place) {
	w := f.wanted
	if p.change == unchanged || !w.follows() || p.change == changed && f.sight.ResourceVersion == "" {
		return
	}
	at := app.place(w, p.HostID)
	n, there := s.needs[at]
	if p.change == unknown {
		if !there && !w.Provider {
			s.needs[at] = need{unknown: true}
		}
		return
	}
	n.unknown = false
	n.restart = n.restart || w.Rotation == policy.RotationRestart
	if target := fmt.Sprintf("%s=%s", w.Secret, f.sight.ResourceVersion); !strings.Contains(n.target, target) {
		n.target += " " + target
	}
	s.needs[at] = n
}

func (t *term) report(ctx context.Context, app Application, told []oam.SecretStatus) error {
	ctx, cancel := context.WithTimeout(ctx, workWait)
	defer cancel()
	return t.options.Applications.Report(ctx, app, told)
}

// deliver begins what is due, beside the passes: hosts may be slow.
func (t *term) deliver(ctx context.Context, found *survey) {
	now := t.options.Now()
	unable, soon := t.learned(now)
	for _, p := range soon {
		t.pace.again(p)
	}
	for _, s := range t.pace.due(found.needs, found.there, unable, now) {
		t.work.Go(func() { t.do(ctx, s) })
	}
}

// learned says which hosts can't fetch without a restart, and whose turn comes at once for that.
func (t *term) learned(now time.Time) (unable map[string]bool, soon []Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.unable, func(_ string, until time.Time) bool { return now.After(until) })
	unable = map[string]bool{}
	for host := range t.unable {
		unable[host] = true
	}
	soon, t.soon = t.soon, nil
	return unable, soon
}

func (t *term) do(ctx context.Context, s step) {
	log := logr.FromContextOrDiscard(ctx).WithValues("namespace", s.Namespace, "application", s.Application, "id", s.ID, "host", s.Host)
	ctx, cancel := context.WithTimeout(ctx, workWait)
	defer cancel()
	var err error
	if s.restart {
		err = t.options.Courier.Restart(ctx, s.Place)
	} else {
		err = t.options.Courier.Refresh(ctx, s.Host, s.ID)
	}
	if errors.Is(err, ErrUnsupported) && !s.restart {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.unable[s.Host] = t.options.Now().Add(unableFor)
		t.soon = append(t.soon, s.Place)
		return
	}
	if err != nil && ctx.Err() == nil {
		log.Info("A host was not told to fetch the secrets of a component again; it is tried again", "restart", s.restart, "reason", err.Error())
		return
	}
	log.V(1).Info("A host was told to fetch the secrets of a component again", "restart", s.restart)
}

// clear forgets outcomes that concern nobody any more, some at a time.
func (t *term) clear(ctx context.Context) {
	idle := t.book.drop(idleOutcomes)
	if len(idle) == 0 {
		return
	}
	t.work.Go(func() {
		for _, o := range idle {
			if err := t.options.Outcomes.Remove(ctx, o); err != nil {
				return // whoever leads next begins anew with all that there is
			}
		}
	})
}

// complain logs what hinders a pass. It is tried again each second, so that it is nothing for everybody.
func (t *term) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		logr.FromContextOrDiscard(ctx).V(1).Info(what, "lattice", t.options.Lattice, "reason", err.Error())
	}
}
