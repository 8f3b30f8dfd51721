//go:build linux

package local

import "github.com/trellis-operator/trellis/test/kube/internal/state"

// groupRecords are the records of what was changed for control groups.
const groupRecords = "cgroup"

// ensureGroup makes a node's control group and remembers what that switched on
// in the machine's root group.
func (c *Cluster) ensureGroup(path string) error {
	added, err := ensureCgroup(path)
	if err != nil || len(added) == 0 {
		return err
	}
	return state.Save(c.Dir, groupRecords, "root", added)
}

// removeGroups removes the control groups of all nodes.
func (c *Cluster) removeGroups() error {
	if err := removeCgroups(); err != nil {
		return err
	}
	added, _, err := state.Load[[]string](c.Dir, groupRecords, "root")
	withdraw(added)
	return err
}
