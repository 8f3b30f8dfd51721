package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/ledger"
	"github.com/trellis-operator/trellis/internal/store"
	"github.com/trellis-operator/trellis/test/bench/rig"
)

const (
	repeats = 5
	// keptRevisions are more than what is kept of an application's history.
	keptRevisions = 10
)

// counter counts the messages that a write costs.
type counter struct{ js jetstream.JetStream }

// countMessages counts what is stored for a write that is answered: in a namespace with a lattice, so that claims are
// made, of an application that is not deployed, so that the orchestrator writes nothing but its first status.
func (b *apiBench) countMessages(ctx context.Context) error {
	conn, err := nats.Connect(b.nats.URL)
	if err != nil {
		return fmt.Errorf("count messages: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("count messages: %w", err)
	}
	c := &counter{js: js}
	return b.messageRows(ctx, c, b.aggregated)
}

func (b *apiBench) messageRows(ctx context.Context, c *counter, t *target) error {
	o := &object{}
	create := func(ctx context.Context, o *object) error {
		*o = object{namespace: rig.BoundNamespace, name: fmt.Sprintf("counted-%d", time.Now().UnixNano()),
			annotations: map[string]string{"k8s.wasmcloud.dev/deployed-version": "none"}}
		return t.create(ctx, o)
	}
	for _, step := range []struct {
		name   string
		before int // updates that nobody counts
		call   func(context.Context, *object) error
		most   float64
	}{
		{"a create with claims", 0, create, 3},
		{"an update of the spec", 0, t.update, 2},
		{"an update of the spec that drops the oldest revision", keptRevisions, t.update, 2},
		{"an update of the status", 0, t.updateStatus, 1},
	} {
		for range step.before {
			if err := c.once(ctx, t, o, t.update); err != nil {
				return err
			}
		}
		least, err := c.least(ctx, t, o, step.call)
		if err != nil {
			return err
		}
		b.add(atMost(row{Name: "messages of " + step.name, Value: least, Unit: "messages"}, step.most))
	}
	return nil
}

// least is the smallest number of messages that a call left, of some calls.
func (c *counter) least(ctx context.Context, t *target, o *object, call func(context.Context, *object) error) (float64, error) {
	least := -1.0
	for range repeats {
		before, err := c.quiet(ctx)
		if err != nil {
			return 0, err
		}
		if err := t.refresh(ctx, o); err != nil {
			return 0, err
		}
		if err := call(ctx, o); err != nil {
			return 0, err
		}
		after, err := c.count(ctx)
		if err != nil {
			return 0, err
		}
		if n := float64(after - before); least < 0 || n < least {
			least = n
		}
	}
	return least, nil
}

// once calls when the orchestrator is done with what was before: its status would be in the way.
func (c *counter) once(ctx context.Context, t *target, o *object, call func(context.Context, *object) error) error {
	if _, err := c.quiet(ctx); err != nil {
		return err
	}
	if err := t.refresh(ctx, o); err != nil {
		return err
	}
	return call(ctx, o)
}

// refresh reads the resourceVersion of an object that the orchestrator may have written; an object that is not there yet
// has none.
func (t *target) refresh(ctx context.Context, o *object) error {
	if o.resourceVersion == "" {
		return nil
	}
	answer, err := t.send(ctx, "GET", t.path(*o), "")
	if err != nil {
		return err
	}
	o.resourceVersion = resourceVersionOf(answer)
	return nil
}

// count is how many messages were ever stored for applications and claims.
func (c *counter) count(ctx context.Context) (uint64, error) {
	var all uint64
	for _, name := range []string{store.DefaultStream, "KV_" + ledger.Bucket(rig.Lattice)} {
		stream, err := c.js.Stream(ctx, name)
		if err != nil {
			return 0, fmt.Errorf("count messages of stream %s: %w", name, err)
		}
		all += stream.CachedInfo().State.LastSeq
	}
	return all, nil
}

// quiet waits until nothing was stored for a while.
func (c *counter) quiet(ctx context.Context) (uint64, error) {
	last, err := c.count(ctx)
	for since := time.Now(); err == nil && time.Since(since) < 1500*time.Millisecond; {
		var now uint64
		if now, err = c.count(ctx); now != last {
			last, since = now, time.Now()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return last, err
}
