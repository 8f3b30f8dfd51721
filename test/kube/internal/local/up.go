//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/process"
)

// Up makes the cluster, or whatever is missing of it. Every step looks first
// and does only what is not done: a second Up changes nothing, and an Up after
// a crash repairs.
func (c *Cluster) Up(ctx context.Context) error {
	if err := c.EnsurePackages(ctx); err != nil {
		return err
	}
	if err := c.Build(ctx); err != nil {
		return err
	}
	unlock, err := c.Dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"network and certificates", c.prepare},
		{"etcd, API server and node started", c.start},
		{"API ready, images in the node", c.ready},
		{"node ready", c.nodesReady},
		{"DNS and registry ready", c.addonsReady},
	}
	// A part that was about to die when it was looked at makes a second round
	// necessary.
	for range 3 {
		for _, step := range steps {
			if err := c.Report.Step(step.name, func() error { return step.run(ctx) }); err != nil {
				return err
			}
		}
		if err = c.allRunning(); err == nil {
			return c.linkKubectl(ctx)
		}
	}
	return err
}

func (c *Cluster) allRunning() error {
	for _, name := range c.parts() {
		if _, running, err := process.Find(c.Dir, name); err != nil || !running {
			return errors.Join(err, fmt.Errorf("%s ended while the rest was started; its log, %s, ends with:\n%s", name, c.log(name), tail(c.log(name))))
		}
	}
	return nil
}

func (c *Cluster) prepare(context.Context) error {
	if err := network.CheckFree(); err != nil {
		return err
	}
	if err := c.ensureCertificates(); err != nil {
		return err
	}
	if err := network.EnsureBridge(); err != nil {
		return err
	}
	return network.EnsureRoutes(c.Nodes)
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.startAPI(ctx); err != nil {
		return err
	}
	for n := 1; n <= c.Nodes; n++ {
		if err := c.ensureNode(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// ready waits for the API and starts what needs it, while the images go into
// the nodes. The cluster's own objects come after both: a pod whose image is
// not there yet is tried again only after a minute.
func (c *Cluster) ready(ctx context.Context) error {
	images, err := c.systemImages(ctx)
	if err != nil {
		return err
	}
	group, together := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := c.apiReady(together); err != nil {
			return err
		}
		return c.startControllers(together)
	})
	group.Go(func() error {
		for n := 1; n <= c.Nodes; n++ {
			if err := c.containerdReady(together, n); err != nil {
				return err
			}
		}
		return c.LoadImages(together, images)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return c.applyAddons(ctx)
}
