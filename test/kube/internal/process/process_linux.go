// Package process starts the machine's programs of the cluster, finds them
// again in later runs, and ends them. A process is known by its pid together
// with its start time and the machine's boot, so a recycled pid is never
// taken for one of ours.
package process

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/trellis-operator/trellis/test/kube/internal/state"
)

// Environment variables that mark a process as part of a cluster. They find a
// process whose record was lost because the harness was killed between
// starting it and writing down its pid.
const (
	partVariable  = "TRELLIS_KUBE_PART"
	stateVariable = "TRELLIS_KUBE_STATE"
	kind          = "processes"

	searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Spec says what to run.
type Spec struct {
	Name string
	Path string
	Args []string
	Env  []string
	// Log is the file that gets stdout and stderr.
	Log string
	// CloneFlags are the namespaces that the process gets of its own.
	CloneFlags uintptr
}

// Record is what is known about a started process.
type Record struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
	Boot  string `json:"boot"`
	Hash  string `json:"hash"` // of the Spec
	Log   string `json:"log"`
}

func (s Spec) hash() string {
	content, _ := json.Marshal(s) // strings and a number only: cannot fail
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// Ensure starts the process unless it runs already with the same spec; one
// that runs with another spec is stopped first. It returns the record and
// whether the process was started now.
func Ensure(dir state.Dir, spec Spec) (Record, bool, error) {
	current, running, err := Find(dir, spec.Name)
	if err != nil {
		return Record{}, false, err
	}
	if running && current.Hash == spec.hash() {
		return current, false, nil
	}
	if running {
		if err := Stop(current); err != nil {
			return Record{}, false, err
		}
	}
	record, err := start(dir, spec)
	return record, true, err
}

func start(dir state.Dir, spec Spec) (Record, error) {
	record := Record{Name: spec.Name, Hash: spec.hash(), Log: spec.Log, Boot: bootID()}
	if err := state.Save(dir, kind, spec.Name, record); err != nil {
		return Record{}, err
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return Record{}, fmt.Errorf("the log of %s cannot be written: %w", spec.Name, err)
	}
	defer log.Close()
	command := exec.Command(spec.Path, spec.Args...)
	command.Dir = "/"
	// Nothing of the user's environment: a proxy that is set there would be
	// asked for the cluster's own addresses.
	command.Env = append([]string{"HOME=/root", "PATH=" + searchPath}, partVariable+"="+spec.Name, stateVariable+"="+string(dir))
	command.Env = append(command.Env, spec.Env...)
	command.Stdout, command.Stderr = log, log
	// A session of its own: Ctrl-C in the terminal must not reach it.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: spec.CloneFlags}
	// What our own parents left open, such as the lock of flock(1), must not
	// stay open as long as the cluster lives. Kernels before 5.11 cannot.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) {
		return Record{}, fmt.Errorf("open files cannot be kept from %s: %w", spec.Name, err)
	}
	if err := command.Start(); err != nil {
		return Record{}, fmt.Errorf("%s does not start: %w", spec.Name, err)
	}
	go command.Wait() // while this run lasts, a dead child must not stay a zombie
	record.PID = command.Process.Pid
	if stat, err := readStat(record.PID); err == nil {
		record.Start = stat.start
	}
	return record, state.Save(dir, kind, spec.Name, record)
}

// Find returns the running process of that name.
func Find(dir state.Dir, name string) (Record, bool, error) {
	record, found, err := state.Load[Record](dir, kind, name)
	if err != nil {
		return Record{}, false, err
	}
	if found && record.Alive() {
		return record, true, nil
	}
	pid, lost := findMarked(string(dir), name)
	if !lost {
		return record, false, nil
	}
	stat, err := readStat(pid)
	if err != nil {
		return record, false, nil
	}
	// An empty hash differs from every spec's: what was lost is replaced.
	return Record{Name: name, PID: pid, Start: stat.start, Boot: bootID()}, true, nil
}

// KillNamed ends the process of that name at once, if it runs, and forgets it.
// A process that was started twice, by a run that died before it wrote down
// the first, is looked for until none is left.
func KillNamed(dir state.Dir, name string) error {
	for {
		record, running, err := Find(dir, name)
		if err != nil {
			return err
		}
		if !running {
			return state.Forget(dir, kind, name)
		}
		if err := Kill(record); err != nil {
			return err
		}
	}
}
