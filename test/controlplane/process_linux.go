package controlplane

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const stopTimeout = 20 * time.Second

// run starts a program whose output goes to <name>.log, and ends it when the plane stops.
func (p *Plane) run(name, path string, env []string, args ...string) error {
	log, err := os.Create(filepath.Join(p.options.Dir, name+".log"))
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	p.started[name] = cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	p.stops = append(p.stops, func() error { return errors.Join(stop(name, cmd.Process, ended), log.Close()) })
	return nil
}

// stop asks a process to end, and makes it if it does not. A process that had ended before is an error: its tests ran
// without it.
func stop(name string, process *os.Process, ended <-chan error) error {
	select {
	case err := <-ended:
		return fmt.Errorf("%s ended by itself: %v; see its log", name, err)
	default:
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end %s: %w", name, err)
	}
	select {
	case <-ended:
		return nil
	case <-time.After(stopTimeout):
		_ = process.Kill()
		<-ended
		return fmt.Errorf("%s did not end within %s of a SIGTERM", name, stopTimeout)
	}
}
