package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lattice"
)

// planeSize says how much is measured in a control plane.
type planeSize struct {
	apps    int // exposed, the last timed of them at applyRate
	timed   int
	hosts   int
	changes int // of the status of pods
	deleted int // pods
	groups  int // of hosts
	// rest of the groups, and of a group of so many hosts.
	rest, restOfHosts time.Duration
	inGroup           int
}

func planeSizeOf(short, long bool) planeSize {
	s := planeSize{apps: 1000, timed: 300, hosts: 200, changes: 1000, deleted: 20, groups: 250, rest: time.Minute, restOfHosts: time.Minute, inGroup: 100}
	if long {
		s.apps, s.rest, s.restOfHosts = 5000, 5*time.Minute, 10*time.Minute
	}
	if short {
		s = planeSize{apps: 60, timed: 20, hosts: 10, changes: 20, deleted: 2, groups: 10, rest: 10 * time.Second, restOfHosts: 10 * time.Second, inGroup: 5}
	}
	return s
}

const firstPort = 10_000

// exposureBench is a lattice whose applications are exposed.
type exposureBench struct {
	*planeBench
	pods      []*corev1.Pod
	apps      *applicants
	endpoints *endpoints
	lattice   *nats.Conn
	mu        sync.Mutex
	started   map[string]time.Time // provider ids
}

// measureExposure measures from what happens in the lattice and to pods until it shows in EndpointSlices.
func measureExposure(ctx context.Context, b *planeBench) error {
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	defer cancel()
	stop, err := listen(firstPort, b.size.apps)
	if err != nil {
		return err
	}
	defer stop()
	e := &exposureBench{planeBench: b, started: map[string]time.Time{}}
	defer func() {
		if e.lattice != nil {
			e.lattice.Close()
		}
	}()
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{{"hosts", e.prepare}, {"fill", e.fill}, {"at a rate", e.atRate}, {"changes of pods", e.follow}, {"deleted pods", e.remove}} {
		fmt.Fprintf(os.Stderr, "exposure: %s (load %.2f)\n", part.name, loadAverage())
		if err := part.measure(ctx); err != nil {
			return fmt.Errorf("exposure, %s: %w", part.name, err)
		}
	}
	b.add(atMost(row{Name: e.name("memory of trellis, highest"), Value: float64(b.trellis.Peak()) / mib, Unit: "MiB"}, 192))
	return nil
}

func (e *exposureBench) name(what string) string {
	return fmt.Sprintf("exposure: %d applications on %d hosts, %s", e.size.apps, e.size.hosts, what)
}

func (e *exposureBench) prepare(ctx context.Context) (err error) {
	if err := errors.Join(e.namespace(ctx, latticeNamespace), e.namespace(ctx, podNamespace), e.makeNodes(ctx)); err != nil {
		return err
	}
	if e.endpoints, err = watchEndpoints(ctx, e.kube); err != nil {
		return err
	}
	if e.lattice, err = nats.Connect(e.plane.NATS); err != nil {
		return fmt.Errorf("look at the lattice: %w", err)
	}
	hosts, err := control.New(e.lattice, lattice.DefaultLattice, control.Options{})
	if err != nil {
		return err
	}
	if _, err := hosts.Events(ctx, e.note, nil); err != nil {
		return err
	}
	if e.apps, err = newApplicants(ctx, e.plane.Config); err != nil {
		return err
	}
	e.pods, err = e.startHosts(ctx, "hosts", e.size.hosts)
	return err
}

func (e *exposureBench) note(event lattice.Event) {
	if started, ok := event.Data.(lattice.ProviderStarted); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.started[started.ProviderID] = time.Now()
	}
}

func exposedName(n int) string { return fmt.Sprintf("exposed-%05d", n) }

// exposedSlice is the slice of its only port.
func exposedSlice(n int) string { return exposedName(n) + "-http-ipv4-0" }

func exposed() series {
	return series{exposedName, func(n int) string { return wholeApp(exposedName(n), firstPort+n) }}
}

// fill applies applications as fast as they are taken.
func (e *exposureBench) fill(ctx context.Context) error {
	n := e.size.apps - e.size.timed
	if _, err := e.audit.since(); err != nil {
		return err
	}
	began := time.Now()
	if err := e.apps.applyAll(ctx, exposed(), 0, n); err != nil {
		return err
	}
	deployed := time.Since(began)
	if err := e.exposed(ctx, 0, n); err != nil {
		return err
	}
	all := time.Since(began)
	what := fmt.Sprintf("%d of them at once", n)
	e.add(row{Name: e.name(what + ", all deployed"), Value: deployed.Seconds(), Unit: "s"})
	e.add(row{Name: e.name(what + ", all with a ready endpoint"), Value: all.Seconds(), Unit: "s"})
	found, err := e.quiet(ctx, 3*time.Second)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "    written:", found)
	// A Service and a slice for each application.
	e.add(atMost(row{Name: e.name(what + ", writes of Services and slices for each made"), Value: float64(found.sum("services", "endpointslices")) / float64(2*n), Unit: "writes"}, 1.1))
	return nil
}

// exposed waits until applications have a ready endpoint.
func (e *exposureBench) exposed(ctx context.Context, from, to int) error {
	return e.endpoints.until(ctx, fmt.Sprintf("%d applications have a ready endpoint", to-from), func() bool {
		for n := from; n < to; n++ {
			if e.endpoints.ready[exposedSlice(n)].IsZero() {
				return false
			}
		}
		return true
	})
}

// atRate applies applications at a rate and takes the time from the provider's start to its endpoint.
func (e *exposureBench) atRate(ctx context.Context) error {
	from, to := e.size.apps-e.size.timed, e.size.apps
	tick := time.NewTicker(time.Second / applyRate)
	defer tick.Stop()
	failures := make([]error, e.size.timed)
	var group sync.WaitGroup
	for n := from; n < to; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		group.Go(func() { _, failures[n-from] = e.apps.apply(ctx, exposedName(n), exposed().body(n)) })
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	if err := e.exposed(ctx, from, to); err != nil {
		return err
	}
	took := make([]time.Duration, 0, e.size.timed)
	e.mu.Lock()
	defer e.mu.Unlock()
	for n := from; n < to; n++ {
		took = append(took, e.endpoints.ready[exposedSlice(n)].Sub(e.started[fmt.Sprintf("exposed_%05d-http", n)]))
	}
	q := quantilesOf(took)
	what := fmt.Sprintf("%d of them at %d/s, provider started to endpoint ready", e.size.timed, applyRate)
	e.add(row{Name: e.name(what + ", p50"), Value: milli(q.p50), Unit: "ms"})
	e.add(atMost(row{Name: e.name(what + ", p99"), Value: milli(q.p99), Unit: "ms"}, 1000))
	return nil
}

// follow changes the status of pods one after the other, and takes the time until the last slice of each says so.
func (e *exposureBench) follow(ctx context.Context) error {
	if _, err := e.quiet(ctx, 3*time.Second); err != nil {
		return err
	}
	var took []time.Duration
	touched := 0
	for i := range e.size.changes {
		// Each is not ready and then ready again.
		pod, says, want := e.pods[i/2%len(e.pods)], corev1.ConditionFalse, unready
		if i%2 == 1 {
			says, want = corev1.ConditionTrue, serving
		}
		slices := e.endpoints.with(pod.UID)
		touched += len(slices)
		began := time.Now()
		if err := e.sayReady(ctx, pod, says); err != nil {
			return err
		}
		if len(slices) == 0 {
			continue
		}
		last, err := e.endpoints.follows(ctx, slices, pod.UID, want)
		if err != nil {
			return err
		}
		took = append(took, last.Sub(began))
	}
	found, err := e.quiet(ctx, 3*time.Second)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "    written:", found)
	q := quantilesOf(took)
	what := fmt.Sprintf("%d changes of a pod's status with %d slices", e.size.changes, touched)
	e.add(row{Name: e.name(what + ", to its last slice, p50"), Value: milli(q.p50), Unit: "ms"})
	e.add(atMost(row{Name: e.name(what + ", to its last slice, p99"), Value: milli(q.p99), Unit: "ms"}, 1000))
	e.add(atMost(row{Name: e.name(what + ", writes for each slice"), Value: float64(found.sum()) / float64(touched), Unit: "writes"}, 1.1))
	return nil
}

// remove deletes pods at once, as a node that is lost does.
func (e *exposureBench) remove(ctx context.Context) error {
	var took []time.Duration
	for _, pod := range e.pods[:e.size.deleted] {
		slices := e.endpoints.with(pod.UID)
		began := time.Now()
		if err := e.kube.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
			return fmt.Errorf("delete pod %s: %w", pod.Name, err)
		}
		last, err := e.endpoints.follows(ctx, slices, pod.UID, gone)
		if err != nil {
			return err
		}
		took = append(took, max(0, last.Sub(began)))
		if err := e.hosts.Do(`{kill: {label: "kubernetes_pod_uid=%s"}}`, pod.UID); err != nil {
			return err
		}
	}
	e.add(atMost(row{Name: e.name(fmt.Sprintf("%d pods deleted, to its last endpoint gone, longest", len(took))), Value: milli(worst(took)), Unit: "ms"}, 1000))
	return nil
}
