package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// trace is everything of a machine that a cluster could leave something in.
type trace struct {
	Links, Routes, Mounts, Tables, Namespaces, Processes, Groups, Sysctls, Files []string
}

// takeTrace describes the machine. Namespaces, processes and temporary mounts
// of others may come and go meanwhile, so only a cluster's are listed.
func takeTrace(t *testing.T) trace {
	t.Helper()
	return trace{
		Links:      globbed("/sys/class/net/*"),
		Routes:     lines(t, "/proc/net/route"),
		Mounts:     mounts(t),
		Tables:     tables(t),
		Namespaces: globbed("/run/netns/*"),
		Processes:  clusterProcesses(),
		Groups:     append(globbed("/sys/fs/cgroup/trellis*"), globbed("/sys/fs/cgroup/*/trellis*")...),
		Sysctls:    sysctls(),
		Files: slices.Concat(globbed("/var/lib/*"), globbed("/run/*"), globbed("/etc/*"), globbed("/opt/*"),
			globbed("/var/log/pods*"), globbed("/var/log/containers*"), globbed("../../bin/kubectl")),
	}
}

// check fails when something is there that was not before.
func (before trace) check(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(before, takeTrace(t)); diff != "" {
		t.Errorf("traces are left (-before +after):\n%s", diff)
	}
}

func globbed(pattern string) []string {
	found, _ := filepath.Glob(pattern)
	return found
}

// lines are a file's, without counters that move by themselves.
func lines(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

// mounts leaves out what is below the temporary folder, where a cluster mounts
// nothing.
func mounts(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(lines(t, "/proc/self/mountinfo"), func(line string) bool {
		return strings.HasPrefix(strings.Fields(line)[4], os.TempDir()+"/")
	})
}

// tables lists the machine's nftables.
func tables(t *testing.T) []string {
	t.Helper()
	output, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(output))
}

func clusterProcesses() []string {
	var found []string
	for _, path := range globbed("/proc/[0-9]*/cmdline") {
		content, _ := os.ReadFile(path)
		line := strings.ReplaceAll(string(content), "\x00", " ")
		exe, _ := os.Readlink(filepath.Join(filepath.Dir(path), "exe"))
		// Not all programs of the cache: other tests may run an API server of their own.
		shim := strings.Contains(exe, "/trellis/kube/containerd-")
		if shim || strings.Contains(line, "/var/lib/trellis") || strings.HasPrefix(line, "/pause") {
			found = append(found, line)
		}
	}
	return found
}

func sysctls() []string {
	var values []string
	for _, name := range []string{
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
		"kernel/keys/root_maxbytes", "net/ipv4/ip_forward", "net/netfilter/nf_conntrack_max",
	} {
		content, _ := os.ReadFile("/proc/sys/" + name)
		values = append(values, name+"="+strings.TrimSpace(string(content)))
	}
	return values
}
