package rig

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of /proc's processor times on Linux, whatever the kernel's own is.
const ticksPerSecond = 100

// Usage is what a running process uses.
type Usage struct{ PID int }

// Memory is its resident memory in bytes.
func (u Usage) Memory() int64 { return u.status("VmRSS") }

// Peak is the highest resident memory since it started.
func (u Usage) Peak() int64 { return u.status("VmHWM") }

// ForgetPeak lets the highest resident memory count from now.
func (u Usage) ForgetPeak() error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", u.PID), []byte("5"), 0); err != nil {
		return fmt.Errorf("forget the highest memory of trellis: %w", err)
	}
	return nil
}

// status is a line of /proc's status in bytes, 0 where there is none.
func (u Usage) status(field string) int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", u.PID))
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		name, value, _ := strings.Cut(scanner.Text(), ":")
		if name == field {
			kib, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// CPU is the processor time that it has used since it started.
func (u Usage) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", u.PID))
	if err != nil {
		return 0, fmt.Errorf("read the processor time of trellis: %w", err)
	}
	// The name, in brackets, may have blanks; what follows has none.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, i := range []int{11, 12} { // utime and stime
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the processor time of trellis: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}
