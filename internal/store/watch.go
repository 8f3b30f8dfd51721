package store

import (
	"context"
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

const (
	watchBuffer = 100
	// watchBatch is how many changes a watch takes from the log at once.
	watchBatch = 128
)

// watcher is one watch. A single goroutine reads the log, decodes and delivers, so order needs no care.
type watcher struct {
	o       *objects
	key     objectKey
	opts    storage.ListOptions
	pred    storage.SelectionPredicate
	initial bool // begin with what exists
	ctx     context.Context
	cancel  context.CancelFunc
	results chan watch.Event
	cursor  uint64
	life    int // of the index
}

var _ watch.Interface = (*watcher)(nil)

// Watch implements storage.Interface.
func (o *objects) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	k, err := o.key(key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	revision, err := o.versioner.ParseResourceVersion(opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	if opts.ProgressNotify && o.res.New == nil {
		return nil, apierrors.NewInternalError(errors.New("progress notes need Resource.New"))
	}
	w := &watcher{o: o, key: k, opts: opts, pred: opts.Predicate, cursor: revision, results: make(chan watch.Event, watchBuffer)}
	if w.pred.Empty() {
		w.pred = storage.Everything
	}
	if opts.SendInitialEvents == nil {
		w.initial = revision == 0
	} else {
		w.initial = *opts.SendInitialEvents
	}
	if revision == 0 && !w.initial {
		if w.cursor, err = o.store.current(ctx); err != nil {
			return nil, err
		}
	} else if err := o.store.usable(ctx); err != nil {
		return nil, err
	}
	w.life = o.store.index.alive()
	w.ctx, w.cancel = context.WithCancel(ctx)
	go w.run()
	if o.store.cfg.WatchReady != nil {
		o.store.cfg.WatchReady(ctx)
	}
	return w, nil
}

// Stop implements watch.Interface.
func (w *watcher) Stop() { w.cancel() }

// ResultChan implements watch.Interface.
func (w *watcher) ResultChan() <-chan watch.Event { return w.results }

func (w *watcher) run() {
	defer close(w.results)
	defer w.cancel()
	if err := w.follow(); err != nil && w.ctx.Err() == nil {
		_ = w.send(w.errorEvent(err)) // fails when nobody listens any more
	}
}

func (w *watcher) follow() error {
	if w.initial {
		if err := w.sendInitial(); err != nil {
			return err
		}
	}
	var pokes uint64
	for {
		next := w.o.store.index.changesAfter(w.cursor, w.life, w.matches, watchBatch)
		if next.closed {
			return unavailable(errClosed)
		}
		if next.gone {
			return apierrors.NewResourceExpired(expiredWatch)
		}
		for _, c := range next.list {
			if err := w.deliver(c); err != nil {
				return err
			}
		}
		w.cursor = next.cursor
		if len(next.list) > 0 {
			continue
		}
		if pokes != next.pokes && w.opts.ProgressNotify {
			pokes = next.pokes
			if err := w.sendBookmark(false); err != nil {
				return err
			}
		}
		select {
		case <-next.wake:
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
}

func (w *watcher) matches(key string) bool {
	if w.opts.Recursive {
		return strings.HasPrefix(key, w.key.index)
	}
	return key == w.key.index
}

// sendInitial delivers what exists as added, and the bookmark that ends it when it was asked for.
func (w *watcher) sendInitial() error {
	last, err := w.o.store.current(w.ctx)
	if err != nil {
		return err
	}
	if w.cursor > last {
		retry := int(wait.Jitter(time.Second, 3).Seconds())
		return storage.NewTooLargeResourceVersionError(w.cursor, last, retry)
	}
	to := w.key.index + "\x00"
	if w.opts.Recursive {
		to = prefixEnd(w.key.index)
	}
	items, at, _ := w.o.store.index.scan(w.key.index, to, 0)
	for _, it := range items {
		event, err := w.event(change{key: it.key, now: it.version}, true)
		if err != nil {
			return err
		}
		if event == nil {
			continue
		}
		if err := w.send(*event); err != nil {
			return err
		}
	}
	w.cursor = at
	if w.opts.SendInitialEvents != nil && w.opts.Predicate.AllowWatchBookmarks {
		return w.sendBookmark(true)
	}
	return nil
}

// sendBookmark says that everything up to the cursor was delivered.
func (w *watcher) sendBookmark(endOfInitial bool) error {
	obj := w.o.res.New()
	if err := w.o.versioner.UpdateObject(obj, w.cursor); err != nil {
		return err
	}
	if endOfInitial {
		if err := storage.AnnotateInitialEventsEndBookmark(obj); err != nil {
			return err
		}
	}
	return w.send(watch.Event{Type: watch.Bookmark, Object: w.timed(obj, endOfInitial)})
}

// deliver sends the event of a change, if the watch wants it.
func (w *watcher) deliver(c change) error {
	event, err := w.event(c, false)
	if err != nil || event == nil {
		return err
	}
	event.Object = w.timed(event.Object, false)
	return w.send(*event)
}

// send blocks while the reader is slow: the log holds what comes meanwhile. Nothing may follow a failed send.
func (w *watcher) send(event watch.Event) error {
	select {
	case w.results <- event:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

func (w *watcher) errorEvent(err error) watch.Event {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	return watch.Event{Type: watch.Error, Object: &status}
}
