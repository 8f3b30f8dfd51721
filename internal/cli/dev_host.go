package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const hostStopTimeout = 15 * time.Second

// hostProcess is the trellis-host that runs beside `trellis dev`.
type hostProcess struct {
	binary  string
	logPath string
	env     []string
}

// findHost returns the path of trellis-host: what the user named, else the one beside this binary, else the one in PATH.
func findHost(named string) (string, error) {
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fmt.Errorf("--host-binary: %w", err)
		}
		return named, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "trellis-host")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath("trellis-host")
	if err != nil {
		return "", errors.New("trellis-host is neither beside trellis nor in PATH; build it with `make build`, name it with --host-binary, or run without one with --no-host")
	}
	return found, nil
}

// run runs the host until ctx ends, then tells it to stop and waits for it. A host that ends by itself is an error that
// shows the end of its log.
func (h *hostProcess) run(ctx context.Context) error {
	log, err := os.OpenFile(h.logPath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the host's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, h.binary)
	cmd.Env = append(os.Environ(), h.env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A process group of its own, so that Ctrl-C reaches the host through the drain and not before it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = hostStopTimeout
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("trellis-host ended by itself (%v); the end of its log %s:\n%s", err, h.logPath, tail(h.logPath, 10))
}

// tail returns the last lines of a file, or why it cannot be read.
func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
