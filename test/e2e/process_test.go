//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// processOf finds the process of a container. The nodes of test/kube are on this machine: control groups of their
// containers are called like the containers.
func processOf(t *testing.T, namespace, pod, container string) (pid int, err error) {
	t.Helper()
	id, err := try(t, "", "get", "pod", pod, "-n", namespace, "-o",
		fmt.Sprintf("jsonpath={.status.containerStatuses[?(@.name==%q)].containerID}", container))
	if err != nil {
		return 0, err
	}
	_, id, found := strings.Cut(id, "://")
	if !found {
		return 0, fmt.Errorf("container %s of pod %s has not started", container, pod)
	}
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, err
	}
	for _, group := range groups {
		candidate, err := strconv.Atoi(filepath.Base(filepath.Dir(group)))
		if content, readErr := os.ReadFile(group); err == nil && readErr == nil && strings.Contains(string(content), id) && isMain(candidate) {
			return candidate, nil
		}
	}
	return 0, fmt.Errorf("no process of container %s (%s) on this machine: this test needs the local cluster of test/kube", container, id)
}

// isMain tells the first process of a container from those that probes start in it.
func isMain(pid int) bool {
	for _, line := range status(pid, "NSpid") {
		if line == "1" {
			return true
		}
	}
	return false
}

// status returns the fields of a line of a process's status.
func status(pid int, name string) []string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Fields(value)
		}
	}
	return nil
}

// peakMemory is the most memory that a process ever had, in MiB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	fields := status(pid, "VmHWM")
	if len(fields) == 0 {
		t.Fatalf("process %d has ended", pid)
	}
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}

// forgetPeak lets the most memory that a process had count from now.
func forgetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}
