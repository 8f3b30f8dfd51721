package exposure

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
)

// reportsAtOnce bounds the reports under way: when thousands of endpoints change, looks at the others must not share the
// processor with all that there is to say of it.
const reportsAtOnce = 2

// A report that failed is made again after a pause, which doubles.
const (
	reportAgain     = 100 * time.Millisecond
	reportAgainMost = 15 * time.Second
)

// reporter writes what looks found into the status of applications, beside the looks: endpoints come before words. Of each
// application it keeps the newest finding only.
type reporter struct {
	report func(ctx context.Context, app *Application, out outcome) error
	queue  workqueue.TypedRateLimitingInterface[types.NamespacedName]

	mu    sync.Mutex
	found map[types.NamespacedName]*statement
}

type statement struct {
	app *Application
	out outcome
}

func newReporter(report func(context.Context, *Application, outcome) error) *reporter {
	return &reporter{report: report, found: map[types.NamespacedName]*statement{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](reportAgain, reportAgainMost))}
}

// note takes what a look found.
func (p *reporter) note(app *Application, out outcome) {
	p.mu.Lock()
	p.found[keyOf(app)] = &statement{app, out}
	p.mu.Unlock()
	p.queue.Add(keyOf(app))
}

// forget drops what is to be reported of an application: its status says what was found last, or it has none.
func (p *reporter) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.found, key)
}

// Start reports until ctx ends.
func (p *reporter) Start(ctx context.Context) error {
	var group sync.WaitGroup
	for range reportsAtOnce {
		group.Go(func() {
			for p.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	p.queue.ShutDown()
	group.Wait()
	return nil
}

// next waits for something to report, and reports it; false after the end.
func (p *reporter) next(ctx context.Context) bool {
	key, ended := p.queue.Get()
	if ended {
		return false
	}
	defer p.queue.Done(key)
	p.mu.Lock()
	f, known := p.found[key]
	p.mu.Unlock()
	if !known {
		p.queue.Forget(key)
		return true
	}
	if err := p.report(ctx, f.app, f.out); err != nil {
		if ctx.Err() == nil {
			ctrl.LoggerFrom(ctx).Error(err, "The status of an application was not written; it is tried again", "application", key.String())
		}
		p.queue.AddRateLimited(key)
		return true
	}
	p.queue.Forget(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found[key] == f { // nothing newer
		delete(p.found, key)
	}
	return true
}
