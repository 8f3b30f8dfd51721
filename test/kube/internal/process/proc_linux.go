package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type stat struct {
	state byte
	start uint64
}

// readStat reads what /proc says about a pid.
func readStat(pid int) (stat, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(content))
}

// parseStat reads the process's state and start time. The name, in brackets,
// may itself hold spaces and brackets: fields count from the last bracket.
func parseStat(line string) (stat, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errors.New("this is not a line of /proc/PID/stat")
	}
	fields := strings.Fields(line[end+1:])
	const startTime = 19 // field 22 of proc(5), counted from the state
	if len(fields) <= startTime {
		return stat{}, errors.New("this line of /proc/PID/stat is too short")
	}
	start, err := strconv.ParseUint(fields[startTime], 10, 64)
	return stat{state: fields[0][0], start: start}, err
}

func bootID() string {
	content, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(content))
}

// Alive tells whether the very process of the record runs.
func (r Record) Alive() bool {
	if r.PID <= 0 || r.Boot != bootID() {
		return false
	}
	now, err := readStat(r.PID)
	return err == nil && now.start == r.Start && now.state != 'Z' && now.state != 'X'
}

// StartedAt is when the process was started, a second early at most.
func (r Record) StartedAt() (time.Time, error) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, err
	}
	for _, line := range strings.Split(string(content), "\n") {
		text, found := strings.CutPrefix(line, "btime ")
		if !found {
			continue
		}
		boot, err := strconv.ParseInt(text, 10, 64)
		const ticks = 100 // USER_HZ: what /proc counts in on every platform
		return time.Unix(boot, 0).Add(time.Duration(r.Start) * time.Second / ticks), err
	}
	return time.Time{}, errors.New("/proc/stat does not tell when the machine was booted")
}

// findMarked looks for a living process whose environment carries the marks.
func findMarked(dir, name string) (int, bool) {
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range entries {
		environ, err := os.ReadFile(path)
		if err != nil || !hasVariable(environ, partVariable+"="+name) || !hasVariable(environ, stateVariable+"="+dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil {
			return pid, true
		}
	}
	return 0, false
}

func hasVariable(environ []byte, variable string) bool {
	for _, entry := range bytes.Split(environ, []byte{0}) {
		if string(entry) == variable {
			return true
		}
	}
	return false
}

// gracePeriod is how long a process may take to end by itself.
const gracePeriod = 3 * time.Second

// Stop ends the process: politely first, then for certain. It returns when
// the process is gone.
func Stop(r Record) error {
	if err := end(r, unix.SIGTERM, gracePeriod); err == nil {
		return nil
	}
	return Kill(r)
}

// Kill ends the process at once and returns when it is gone.
func Kill(r Record) error { return end(r, unix.SIGKILL, 10*time.Second) }

// end holds on to the process by a file descriptor before it looks at the
// start time, so what gets the signal is certainly what was looked at.
func end(r Record, signal unix.Signal, patience time.Duration) error {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("process %d (%s) cannot be opened: %w", r.PID, r.Name, err)
	}
	defer unix.Close(fd)
	if !r.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("process %d (%s) cannot be stopped: %w", r.PID, r.Name, err)
	}
	return waitEnd(fd, r, patience)
}

func waitEnd(fd int, r Record, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("process %d (%s) is still running after %s; its log is %s", r.PID, r.Name, patience, r.Log)
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if ready > 0 {
			return nil
		}
	}
}
