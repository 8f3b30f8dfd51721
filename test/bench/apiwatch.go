package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	watchNamespace = "bench-002"
	watchPause     = 40 * time.Millisecond
	watchPatience  = 30 * time.Second
)

// watcher notes when each revision arrived.
type watcher struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

func (w *watcher) at(revision string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.seen[revision]
	return at, ok
}

// follow reads events until ctx ends or the watch does.
func (w *watcher) follow(lines *bufio.Reader) {
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
		now := time.Now()
		if revision := resourceVersionOf(line); revision != "" {
			w.mu.Lock()
			w.seen[revision] = now
			w.mu.Unlock()
		}
	}
}

// watch compares how long a written object takes to reach watchers, from the answer to the write; an event before the
// answer counts as no time.
func (b *apiBench) watch(ctx context.Context) error {
	for _, n := range []int{1, 200} {
		w := byWay{}
		for _, t := range b.ways() {
			if err := b.deliver(ctx, t, n, w.of(t)); err != nil {
				return fmt.Errorf("%d watchers, %s: %w", n, t.name, err)
			}
		}
		b.compare(fmt.Sprintf("watch, %d watchers: delivery p99", n), "ms", func(t *target) float64 { return w.of(t).p99() }, atMostMore(10))
	}
	return nil
}

func (b *apiBench) deliver(ctx context.Context, t *target, watchers int, s *samples) error {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	observer, err := t.fresh()
	if err != nil {
		return err
	}
	all := make([]*watcher, watchers)
	for i := range all {
		if all[i], err = observer.open(ctx, &group); err != nil {
			return err
		}
	}
	written := map[string]time.Time{}
	for i := range b.size.watched {
		objects := b.objects(t)
		o := objects[(2+i*b.size.namespaces)%len(objects)] // those of watchNamespace
		if err := t.updateStatus(ctx, o); err != nil {
			return err
		}
		written[o.resourceVersion] = time.Now()
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, w := range all {
		for revision, at := range written {
			seen, err := w.await(revision)
			if err != nil {
				return err
			}
			s.took = append(s.took, max(0, seen.Sub(at)))
		}
	}
	return nil
}

// await waits for an event that may be under way.
func (w *watcher) await(revision string) (time.Time, error) {
	for deadline := time.Now().Add(watchPatience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if at, ok := w.at(revision); ok {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("revision %s did not arrive within %s", revision, watchPatience)
}

// open begins a watch of the namespace at what it holds now.
func (t *target) open(ctx context.Context, group *sync.WaitGroup) (*watcher, error) {
	answer, err := t.send(ctx, http.MethodGet, t.collection(watchNamespace)+"?limit=1", "")
	if err != nil {
		return nil, err
	}
	url := t.collection(watchNamespace) + "?watch=1&resourceVersion=" + resourceVersionOf(answer)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%s answers %s", url, response.Status)
	}
	w := &watcher{seen: map[string]time.Time{}}
	group.Go(func() {
		defer func() { _ = response.Body.Close() }()
		w.follow(bufio.NewReaderSize(response.Body, 64<<10))
	})
	return w, nil
}
