package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trellis-operator/trellis/test/bench/rig"
	"github.com/trellis-operator/trellis/test/twin"
)

var dialer = &net.Dialer{}

// apiSize says how much is measured.
type apiSize struct {
	objects, namespaces int
	// writes of one client, of all 32 together, and seconds of the open loop; for each way.
	single, closed, open int
	gets, lists, watched int
}

// sizeOf is the size of a run with so many objects.
func sizeOf(objects int, short bool) apiSize {
	s := apiSize{objects: objects, namespaces: 100, single: 300, closed: 3000, open: 10, gets: 1000, lists: 20, watched: 200}
	if short {
		s.single, s.closed, s.open, s.gets, s.lists, s.watched = 60, 400, 3, 200, 6, 40
	}
	return s
}

// apiBench is a run. The ways are measured in turns, so that what else the machine does meets all of them.
type apiBench struct {
	size    apiSize
	program string
	dir     string
	nats    *rig.NATS
	kube    *rig.Kube
	trellis *rig.Trellis

	peer, aggregated, direct *target
	// known are the objects of each group; both have the same.
	theirs, ours []*object

	state machine
	rows  []row
}

// parts are what is measured, in order; the objects of the first are those of the others.
var parts = []struct {
	name    string
	measure func(*apiBench, context.Context) error
}{
	{"create", (*apiBench).populate}, {"write", (*apiBench).writeAlone}, {"together", (*apiBench).writeTogether},
	{"rate", (*apiBench).writeAtRate}, {"messages", (*apiBench).countMessages}, {"read", (*apiBench).read},
	{"watch", (*apiBench).watch}, {"restart", (*apiBench).restart}, {"down", (*apiBench).withoutNATS},
}

func partNames() []string {
	names := make([]string, len(parts))
	for i, part := range parts {
		names[i] = part.name
	}
	return names
}

// measureAPI compares the Application API with a CustomResourceDefinition of the same schema.
func measureAPI(o options) func(context.Context, string) ([]row, error) {
	return func(ctx context.Context, dir string) ([]row, error) {
		dir = filepath.Join(dir, "api")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make a folder: %w", err)
		}
		b := &apiBench{size: sizeOf(o.objects, o.short), program: o.program, dir: dir}
		defer b.stop()
		if err := b.start(ctx); err != nil {
			return nil, err
		}
		wanted := strings.Split(o.parts, ",")
		for i, part := range parts {
			if i > 0 && o.parts != "" && !slices.Contains(wanted, part.name) {
				continue
			}
			fmt.Fprintf(os.Stderr, "api: %s (load %.2f)\n", part.name, loadAverage())
			if err := b.look(ctx); err != nil {
				return nil, err
			}
			if err := part.measure(b, ctx); err != nil {
				return nil, fmt.Errorf("API, %s: %w", part.name, err)
			}
		}
		return b.rows, nil
	}
}

func (b *apiBench) start(ctx context.Context) (err error) {
	if b.nats, err = rig.StartNATS(ctx, b.dir); err != nil {
		return err
	}
	if b.kube, err = rig.StartKube(ctx, b.dir); err != nil {
		return err
	}
	if b.trellis, err = rig.NewTrellis(b.program, b.dir, b.kube, b.nats); err != nil {
		return err
	}
	if err = rig.Prepare(ctx, b.kube, b.trellis, namespaceNames(b.size.namespaces)); err != nil {
		return err
	}
	if err = b.trellis.Start(ctx); err != nil {
		return err
	}
	for _, group := range []string{twin.Group, ourGroup} {
		if err = b.kube.Served(ctx, group); err != nil {
			return err
		}
	}
	if b.peer, err = newTarget("crd", twin.Group, b.kube.Config); err != nil {
		return err
	}
	if b.aggregated, err = newTarget("aggregated", ourGroup, b.kube.Config); err != nil {
		return err
	}
	b.direct, err = newTarget("direct", ourGroup, b.trellis.Config)
	return err
}

// stop ends what was started, in the reverse order.
func (b *apiBench) stop() {
	if b.trellis != nil {
		b.trellis.Stop()
	}
	if b.kube != nil {
		b.kube.Stop()
	}
	if b.nats != nil {
		b.nats.Stop()
	}
}

// ways are the peer and both ways to ours.
func (b *apiBench) ways() []*target { return []*target{b.peer, b.aggregated, b.direct} }

// objects are those that a way leads to.
func (b *apiBench) objects(t *target) []*object {
	if t == b.peer {
		return b.theirs
	}
	return b.ours
}

// add keeps a row with what the machine was like.
func (b *apiBench) add(r row) {
	r.Load, r.Fsync, r.JetStream = loadAverage(), b.state.fsync, b.state.jetStream
	b.rows = append(b.rows, r)
}

// compare adds a row for both ways to ours, with the value of the peer beside it; goal judges
// them, nil for none.
func (b *apiBench) compare(name, unit string, value func(*target) float64, goal func(row) row) {
	for _, t := range []*target{b.aggregated, b.direct} {
		r := row{Name: name + ", " + t.name, Value: value(t), Unit: unit, Peer: "CRD", PeerValue: value(b.peer)}
		if goal != nil {
			r = goal(r)
		}
		b.add(r)
	}
}
