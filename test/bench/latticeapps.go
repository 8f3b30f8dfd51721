package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

const latticeNamespace = "bench"

// applicants apply applications and see when they are deployed.
type applicants struct {
	api *target

	mu       sync.Mutex
	deployed map[string]time.Time
	news     chan struct{} // closed at each change, and made anew
	failed   error
	// resumed counts the watches that ended by themselves and were begun anew, as those of controllers are.
	resumed int
}

// newApplicants watches all applications until ctx ends.
func newApplicants(ctx context.Context, config *rest.Config) (*applicants, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	api, err := newTarget("direct", ourGroup, config)
	if err != nil {
		return nil, err
	}
	a := &applicants{api: api, deployed: map[string]time.Time{}, news: make(chan struct{})}
	watch, err := api.fresh()
	if err != nil {
		return nil, err
	}
	body, err := watch.openWatch(ctx)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			a.follow(bufio.NewReaderSize(body, 1<<20))
			_ = body.Close()
			var err error
			if body, err = watch.openWatch(ctx); err != nil {
				a.change(func() { a.failed = fmt.Errorf("the watch of applications ended: %w", err) })
				return
			}
			a.change(func() { a.resumed++ })
		}
	}()
	return a, nil
}

// openWatch begins with all applications that there are.
func (t *target) openWatch(ctx context.Context) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.collection("")+"?watch=1&resourceVersion=0", nil)
	if err != nil {
		return nil, err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		_ = response.Body.Close()
		return nil, fmt.Errorf("watch applications at %s: %s: %s", request.URL, response.Status, text)
	}
	return response.Body, nil
}

// follow reads until the watch ends.
func (a *applicants) follow(lines *bufio.Reader) {
	for {
		line, err := lines.ReadBytes('\n')
		now := time.Now()
		if err != nil {
			return
		}
		var event struct {
			Object struct {
				Metadata struct {
					Name       string `json:"name"`
					Generation int64  `json:"generation"`
				} `json:"metadata"`
				Status struct {
					Phase    string `json:"phase"`
					Observed int64  `json:"observedGeneration"`
				} `json:"status"`
			} `json:"object"`
		}
		if json.Unmarshal(line, &event) != nil {
			continue
		}
		o := event.Object
		a.change(func() {
			if o.Status.Phase == "Deployed" && o.Status.Observed == o.Metadata.Generation {
				if a.deployed[o.Metadata.Name].IsZero() {
					a.deployed[o.Metadata.Name] = now
				}
				return
			}
			delete(a.deployed, o.Metadata.Name)
		})
	}
}

func (a *applicants) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.news)
	a.news = make(chan struct{})
}

// await waits for something about what is deployed.
func (a *applicants) await(ctx context.Context, what string, ok func(deployed map[string]time.Time) bool) error {
	for {
		a.mu.Lock()
		done, news, failed := ok(a.deployed), a.news, a.failed
		a.mu.Unlock()
		if done || failed != nil {
			return failed
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
}

// apply creates an application and says how long it took until it was deployed.
func (a *applicants) apply(ctx context.Context, name, body string) (time.Duration, error) {
	began := time.Now()
	if _, err := a.api.send(ctx, http.MethodPost, a.api.collection(latticeNamespace), body); err != nil {
		return 0, err
	}
	var at time.Time
	err := a.await(ctx, name+" is deployed", func(deployed map[string]time.Time) bool {
		at = deployed[name]
		return !at.IsZero()
	})
	return at.Sub(began), err
}

// series names applications by number and says what each is.
type series struct {
	name, body func(n int) string
}

// small are applications of one component.
func small() series { return series{smallName, smallApp} }

// applyAll creates many, some at a time, and waits until all are deployed.
func (a *applicants) applyAll(ctx context.Context, what series, from, to int) error {
	names := make(chan int)
	failures := make(chan error, 16)
	var group sync.WaitGroup
	for range cap(failures) {
		group.Go(func() {
			for n := range names {
				if _, err := a.api.send(ctx, http.MethodPost, a.api.collection(latticeNamespace), what.body(n)); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	var err error
	for n := from; n < to && err == nil; n++ {
		select {
		case names <- n:
		case err = <-failures:
		}
	}
	close(names)
	group.Wait()
	if err != nil {
		return err
	}
	return a.await(ctx, fmt.Sprintf("%d applications are deployed", to), func(deployed map[string]time.Time) bool {
		for n := from; n < to; n++ {
			if deployed[what.name(n)].IsZero() {
				return false
			}
		}
		return true
	})
}

func smallName(n int) string { return fmt.Sprintf("small-%05d", n) }

// smallID is the id of its only component.
func smallID(n int) string { return fmt.Sprintf("small_%05d-main", n) }

// smallApp has one component with one instance.
func smallApp(n int) string {
	return fmt.Sprintf(`{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"namespace":%q,"name":%q},`+
		`"spec":{"components":[{"name":"main","type":"component","properties":{"image":"ghcr.io/acme/main:1"},`+
		`"traits":[{"type":"spreadscaler","properties":{"instances":1}}]}]}}`, latticeNamespace, smallName(n))
}

// wholeApp has a component, an HTTP server, a link between them, and a configuration.
func wholeApp(name string, port int) string {
	return fmt.Sprintf(`{"apiVersion":"core.oam.dev/v1beta1","kind":"Application","metadata":{"namespace":%q,"name":%q},"spec":{"components":[
{"name":"main","type":"component","properties":{"image":"ghcr.io/acme/main:1"},"traits":[{"type":"spreadscaler","properties":{"instances":1}}]},
{"name":"http","type":"capability","properties":{"image":"ghcr.io/wasmcloud/http-server:0.27.0"},"traits":[
 {"type":"spreadscaler","properties":{"instances":1}},
 {"type":"link","properties":{"target":{"name":"main"},"namespace":"wasi","package":"http","interfaces":["incoming-handler"],
  "source":{"config":[{"name":"address","properties":{"address":"0.0.0.0:%d"}}]}}}]}]}}`, latticeNamespace, name, port)
}
