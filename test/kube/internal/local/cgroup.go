//go:build linux

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cgroupTop holds the control groups of all nodes.
const cgroupTop = "trellis"

func cgroupPath(node string) string { return cgroupTop + "/" + node }

// hierarchy is a mounted control group file system.
type hierarchy struct {
	path string
	v2   bool
}

// hierarchies lists those of the machine: one with version 2, one a
// controller with version 1.
func hierarchies() ([]hierarchy, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var list []hierarchy
	for _, line := range strings.Split(string(content), "\n") {
		before, after, found := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || !strings.HasPrefix(kind[0], "cgroup") {
			continue
		}
		list = append(list, hierarchy{path: fields[4], v2: kind[0] == "cgroup2"})
	}
	return list, nil
}

// ensureCgroup makes the group in every hierarchy; the kubelet wants to find
// its root there. It returns the controllers that had to be switched on for
// the children of the machine's root group.
func ensureCgroup(path string) (added []string, err error) {
	list, err := hierarchies()
	if err != nil {
		return nil, err
	}
	// Version 2 beside version 1 has no controllers.
	pure := !slices.ContainsFunc(list, func(h hierarchy) bool { return !h.v2 })
	for _, mounted := range list {
		if pure {
			on, err := delegate(mounted.path)
			if err != nil {
				return nil, err
			}
			added = append(added, on...)
		}
		folder := mounted.path
		for _, element := range strings.Split(path, "/") {
			parent := folder
			folder = filepath.Join(folder, element)
			if err := makeGroup(parent, folder, mounted.v2, pure); err != nil {
				return nil, err
			}
		}
	}
	return added, nil
}

func makeGroup(parent, folder string, v2, pure bool) error {
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the control group %s cannot be made: %w", folder, err)
	}
	if !v2 {
		return inheritCPUs(parent, folder)
	}
	if !pure {
		return nil
	}
	_, err := delegate(folder)
	return err
}

// kubeletControllers are what the kubelet asks of its root group, each only if
// the machine has it (version 2).
var kubeletControllers = []string{"cpu", "cpuset", "hugetlb", "memory", "pids"}

// delegate lets the children of a group use the controllers and returns those
// that they could not use before.
func delegate(folder string) (added []string, err error) {
	available, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	control := filepath.Join(folder, "cgroup.subtree_control")
	already, err := os.ReadFile(control)
	if err != nil {
		return nil, err
	}
	for _, controller := range strings.Fields(string(available)) {
		if !slices.Contains(kubeletControllers, controller) || slices.Contains(strings.Fields(string(already)), controller) {
			continue
		}
		if err := os.WriteFile(control, []byte("+"+controller), 0); err != nil {
			return nil, fmt.Errorf("the control group %s does not pass on its %s controller: %w", folder, controller, err)
		}
		added = append(added, controller)
	}
	return added, nil
}

// withdraw undoes delegate for the machine's root group. Somebody else may
// have come to use a controller since; then it stays.
func withdraw(controllers []string) {
	list, err := hierarchies()
	if err != nil || len(list) == 0 {
		return
	}
	for _, controller := range controllers {
		_ = os.WriteFile(filepath.Join(list[0].path, "cgroup.subtree_control"), []byte("-"+controller), 0)
	}
}

// inheritCPUs copies the parent's CPUs and memory nodes (version 1): a new
// group has none, and nothing can run in it.
func inheritCPUs(parent, folder string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		current, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil || strings.TrimSpace(string(current)) != "" {
			continue // not this hierarchy, or done
		}
		value, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, file), value, 0); err != nil && len(strings.TrimSpace(string(value))) > 0 {
			return fmt.Errorf("the control group %s gets no %s: %w", folder, file, err)
		}
	}
	return nil
}

// removeCgroups removes the groups of all nodes. The processes in them are
// dead by now, but the kernel may take a moment to notice.
func removeCgroups() error {
	list, err := hierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(10 * time.Second)
	for _, mounted := range list {
		for {
			err := removeGroup(filepath.Join(mounted.path, cgroupTop))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("a control group is still in use: %w", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// removeGroup removes a group with everything below it; only folders can be
// removed from this file system.
func removeGroup(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroup(filepath.Join(folder, entry.Name())); err != nil {
				return err
			}
		}
	}
	err = os.Remove(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
