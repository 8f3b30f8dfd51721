package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trellis-operator/trellis/test/kube/internal/state"
)

func TestParseStat(t *testing.T) {
	tail := " S 1 2 2 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000 20 184"
	for _, name := range []string{"(sleep)", "(a b)", "(a) S 9 (b)"} {
		got, err := parseStat("12 " + name + tail)
		if err != nil || got != (stat{state: 'S', start: 4711}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestParseStat_Errors(t *testing.T) {
	for _, line := range []string{"", "12 (sleep) S 1 2", "no brackets at all"} {
		if _, err := parseStat(line); err == nil {
			t.Errorf("%q: no error", line)
		}
	}
}

func sleeper(dir state.Dir, seconds string) Spec {
	return Spec{Name: "sleeper", Path: "/bin/sleep", Args: []string{seconds}, Log: dir.Path("log")}
}

func ensure(t *testing.T, dir state.Dir, spec Spec) (Record, bool) {
	t.Helper()
	record, started, err := Ensure(dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Kill(record); err != nil {
			t.Error(err)
		}
	})
	return record, started
}

func TestEnsure(t *testing.T) {
	dir := state.Dir(t.TempDir())
	first, started := ensure(t, dir, sleeper(dir, "600"))
	if !started || !first.Alive() {
		t.Fatalf("not started: %+v", first)
	}
	if at, err := first.StartedAt(); err != nil || time.Since(at) > 5*time.Second || time.Until(at) > time.Second {
		t.Errorf("started at %s, %v", at, err)
	}
	second, started := ensure(t, dir, sleeper(dir, "600"))
	if started || second.PID != first.PID {
		t.Error("the same spec was started again")
	}
	third, started := ensure(t, dir, sleeper(dir, "601"))
	if !started || first.Alive() || !third.Alive() {
		t.Errorf("another spec did not replace the process: old alive %v, new alive %v", first.Alive(), third.Alive())
	}
	if err := KillNamed(dir, "sleeper"); err != nil || third.Alive() {
		t.Errorf("KillNamed: %v, alive %v", err, third.Alive())
	}
}

func TestFind_LostRecord(t *testing.T) {
	dir := state.Dir(t.TempDir())
	record, _ := ensure(t, dir, sleeper(dir, "600"))
	if err := os.RemoveAll(dir.Path("records")); err != nil {
		t.Fatal(err)
	}
	found, running, err := Find(dir, "sleeper")
	if err != nil || !running || found.PID != record.PID {
		t.Fatalf("got %+v, %v, %v; want pid %d", found, running, err, record.PID)
	}
	if err := KillNamed(dir, "sleeper"); err != nil || record.Alive() {
		t.Errorf("KillNamed: %v, alive %v", err, record.Alive())
	}
}

// A pid that was given to another process since must never get a signal.
func TestKill_RecycledPID(t *testing.T) {
	dir := state.Dir(t.TempDir())
	record, _ := ensure(t, dir, sleeper(dir, "600"))
	for _, old := range []Record{
		{Name: "old", PID: record.PID, Start: record.Start - 1, Boot: record.Boot},
		{Name: "old", PID: record.PID, Start: record.Start, Boot: strings.Repeat("0", 36)},
	} {
		if err := Kill(old); err != nil {
			t.Error(err)
		}
		if old.Alive() || !record.Alive() {
			t.Errorf("%+v: old alive %v, process alive %v", old, old.Alive(), record.Alive())
		}
	}
}

// A program that makes a cluster under a lock of flock(1) must not leave that
// lock to the cluster.
func TestEnsureInheritsNoFiles(t *testing.T) {
	dir := state.Dir(t.TempDir())
	lock, err := syscall.Open(dir.Path("lock"), syscall.O_CREAT|syscall.O_RDONLY, 0o600) // without O_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(lock)
	record, _ := ensure(t, dir, sleeper(dir, "600"))
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", record.PID))
	if err != nil || len(files) != 3 {
		t.Errorf("the process has the files %v open (%v); want the first three only", files, err)
	}
}
