//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/process"
)

// Down removes everything that Up made, and what a crashed Up left, whether or
// not the records of it are there. Built tools stay in the cache.
func (c *Cluster) Down(ctx context.Context) error {
	unlock, err := c.Dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	steps := []struct {
		name string
		run  func() error
	}{
		{"processes ended", c.stopProcesses},
		{"links removed", network.RemoveAll},
		{"control groups removed", c.removeGroups},
		{"kubectl's links removed", c.unlinkKubectl},
		{"mounts and files removed", c.removeFiles},
	}
	for _, step := range steps {
		if err := c.Report.Step(step.name, step.run); err != nil {
			return err
		}
	}
	return nil
}

// stopProcesses ends the nodes first, at once: with its first process the
// kernel ends everything in a node. Then whoever writes to etcd, then etcd.
func (c *Cluster) stopProcesses() error {
	for n := 1; n <= MaxNodes; n++ {
		if err := process.KillNamed(c.Dir, network.NodeName(n)); err != nil {
			return err
		}
	}
	for _, name := range []string{"kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"} {
		if err := process.KillNamed(c.Dir, name); err != nil {
			return err
		}
	}
	return nil
}

// removeFiles removes the state folder. A node's mounts die with it; should
// any mount of this machine be inside the folder, it is taken off first, or
// the removal would reach what is mounted there.
func (c *Cluster) removeFiles() error {
	mounts, err := mountsBelow(string(c.Dir))
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("%s cannot be unmounted: %w", mount, err)
		}
	}
	if left, err := mountsBelow(string(c.Dir)); err != nil || len(left) > 0 {
		return fmt.Errorf("mounts are left below %s: %v: %w", c.Dir, left, errors.Join(err, errors.ErrUnsupported))
	}
	if err := os.RemoveAll(string(c.Dir)); err != nil {
		return fmt.Errorf("the state folder cannot be removed: %w", err)
	}
	return nil
}

// mountsBelow lists mount points inside a folder, the innermost first.
func mountsBelow(folder string) ([]string, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, line := range strings.Split(string(content), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 4 && strings.HasPrefix(fields[4], folder+"/") {
			found = append(found, fields[4])
		}
	}
	slices.Reverse(found)
	return found, nil
}
