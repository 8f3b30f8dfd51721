package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trellis-operator/trellis/test/bench/rig"
)

// latticeSize says how much is measured.
type latticeSize struct {
	single int           // applications applied one after the other
	rate   time.Duration // how long applications are applied at applyRate
	hosts  []int         // the lattice grows: hosts and applications of each size
	apps   []int
	steady time.Duration
	losses int // hosts that end, one after the other
	drift  int // components that are stopped behind the orchestrator's back
	extra  int // applications on top for the look at the whole lattice
	events int // of which the cost is measured
	last   int // hosts at the end
}

const (
	applyRate = 10
	// answerDelay is what hosts take to answer, and again what a component or provider takes to start.
	answerDelay = "5ms"
	patience    = 15 * time.Minute
)

func latticeSizeOf(short, long bool) latticeSize {
	s := latticeSize{
		single: 100, rate: 30 * time.Second, hosts: []int{10, 100, 100, 1000, 1000}, apps: []int{100, 100, 1000, 1000, 10_000},
		steady: time.Minute, losses: 20, drift: 50, extra: 2000, events: 3000, last: 5000,
	}
	if long {
		s.rate, s.steady = 5*time.Minute, 5*time.Minute
	}
	if short {
		s = latticeSize{single: 20, rate: 3 * time.Second, hosts: []int{10, 30, 30, 100, 100}, apps: []int{20, 20, 100, 100, 500},
			steady: 10 * time.Second, losses: 3, drift: 5, extra: 100, events: 300, last: 200}
	}
	return s
}

// latticeBench is a run of `trellis dev` with a simulated lattice, each in a process of its own.
type latticeBench struct {
	size    latticeSize
	dir     string
	nats    *rig.NATS
	cable   *rig.Cable
	trellis *rig.Dev
	hosts   *rig.Simulator
	up      int // hosts
	count   int // small applications
	apps    *applicants
	unwatch context.CancelFunc
	view    *view
	rows    []row
}

// measureLattice measures the orchestrator on a simulated lattice.
func measureLattice(o options) func(context.Context, string) ([]row, error) {
	return func(ctx context.Context, dir string) ([]row, error) {
		dir = filepath.Join(dir, "lattice")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make a folder: %w", err)
		}
		b := &latticeBench{size: latticeSizeOf(o.short, o.long), dir: dir}
		defer b.stop()
		if err := b.start(ctx, o.program); err != nil {
			return nil, err
		}
		for _, part := range []struct {
			name    string
			measure func(context.Context) error
		}{
			{"one application", b.single}, {"growth", b.growth}, {"steady", b.steady},
			{"loss of hosts", b.losses}, {"silent death", b.silence}, {"restart", b.restart}, {"look at everything", b.reobserve},
			{"more hosts", b.manyHosts},
		} {
			fmt.Fprintf(os.Stderr, "lattice: %s (load %.2f)\n", part.name, loadAverage())
			ctx, cancel := context.WithTimeout(ctx, patience)
			err := part.measure(ctx)
			cancel()
			if err != nil {
				return b.rows, fmt.Errorf("lattice, %s: %w", part.name, errors.Join(err, b.lastWords()))
			}
		}
		return b.rows, nil
	}
}

func (b *latticeBench) start(ctx context.Context, program string) (err error) {
	if b.nats, err = rig.StartNATS(ctx, b.dir); err != nil {
		return err
	}
	if b.cable, err = rig.NewCable(b.nats.URL); err != nil {
		return err
	}
	b.up = b.size.hosts[0]
	if b.hosts, err = rig.StartSimulator(ctx, b.dir, b.nats.URL, b.up, "--command-delay="+answerDelay, "--start-delay="+answerDelay,
		"--health-check=1h"); err != nil {
		return err
	}
	if b.trellis, err = rig.NewDev(program, b.dir, b.cable.URL); err != nil {
		return err
	}
	if err = b.trellis.Start(ctx); err != nil {
		return err
	}
	if b.view, err = newView(ctx, b.nats.URL); err != nil {
		return err
	}
	return b.watch(ctx)
}

// watch begins to look at applications, anew when the API has started again.
func (b *latticeBench) watch(ctx context.Context) (err error) {
	if b.unwatch != nil {
		b.unwatch()
	}
	ctx, b.unwatch = context.WithCancel(context.WithoutCancel(ctx))
	b.apps, err = newApplicants(ctx, b.trellis.Config)
	return err
}

// stop ends what was started, in the reverse order.
func (b *latticeBench) stop() {
	if b.unwatch != nil {
		b.unwatch()
	}
	if b.view != nil {
		b.view.conn.Close()
	}
	if b.trellis != nil {
		b.trellis.Stop()
	}
	if b.hosts != nil {
		b.hosts.Stop()
	}
	if b.cable != nil {
		_ = b.cable.Close()
	}
	if b.nats != nil {
		b.nats.Stop()
	}
}

// lastWords is the end of what trellis logged: the folder is removed at the end.
func (b *latticeBench) lastWords() error {
	text, err := os.ReadFile(filepath.Join(b.dir, "state", "trellis.log"))
	if err != nil {
		return err
	}
	return fmt.Errorf("the end of its log:\n%s", text[max(0, len(text)-4000):])
}

func (b *latticeBench) add(r row) {
	r.Load = loadAverage()
	b.rows = append(b.rows, r)
	fmt.Fprintf(os.Stderr, "  %s: %.4g %s\n", r.Name, r.Value, r.Unit)
}

// growTo brings the lattice to a size.
func (b *latticeBench) growTo(ctx context.Context, hosts, apps int) error {
	if hosts > b.up {
		if err := b.hosts.Do(`{start: {count: %d}}`, hosts-b.up); err != nil {
			return err
		}
		b.up = hosts
	}
	if apps <= b.count {
		return nil
	}
	began := time.Now()
	if err := b.apps.applyAll(ctx, small(), b.count, apps); err != nil {
		return err
	}
	b.add(row{Name: fmt.Sprintf("lattice: %d more applications on %d hosts, applied to deployed", apps-b.count, b.up),
		Value: float64(apps-b.count) / time.Since(began).Seconds(), Unit: "1/s"})
	b.count = apps
	return nil
}
