package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/trellis-operator/trellis/test/sim"
)

// Simulator is a trellis-sim that takes steps from its standard input.
type Simulator struct {
	cmd   *exec.Cmd
	steps io.WriteCloser
	lines *bufio.Scanner
}

// StartSimulator builds trellis-sim and starts it with so many hosts; args are more of its flags.
func StartSimulator(ctx context.Context, dir, nats string, hosts int, args ...string) (*Simulator, error) {
	program := filepath.Join(dir, "trellis-sim")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./test/sim/trellis-sim").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build trellis-sim: %w\n%s", err, out)
	}
	args = append([]string{"--nats=" + nats, "--hosts=" + strconv.Itoa(hosts), "--script=-"}, args...)
	s := &Simulator{cmd: exec.Command(program, args...)}
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if s.steps, err = s.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start trellis-sim: %w", err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start trellis-sim: %w", err)
	}
	s.lines = bufio.NewScanner(out)
	s.lines.Buffer(nil, 1<<20)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start trellis-sim: %w", err)
	}
	if _, err := s.answer(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Do does a step of a script.
func (s *Simulator) Do(step string, args ...any) error {
	_, err := s.ask(fmt.Sprintf(step, args...))
	return err
}

// Counts are the counters.
func (s *Simulator) Counts() (sim.Counts, error) {
	line, err := s.ask(`{report: true}`)
	if err != nil {
		return sim.Counts{}, err
	}
	var c sim.Counts
	if err := json.Unmarshal([]byte(line), &c); err != nil {
		return c, fmt.Errorf("read the counters of trellis-sim: %w", err)
	}
	return c, nil
}

func (s *Simulator) ask(step string) (string, error) {
	if _, err := io.WriteString(s.steps, step+"\n"); err != nil {
		return "", fmt.Errorf("tell trellis-sim %s: %w", step, err)
	}
	return s.answer()
}

func (s *Simulator) answer() (string, error) {
	if !s.lines.Scan() {
		return "", fmt.Errorf("trellis-sim ended")
	}
	if strings.HasPrefix(s.lines.Text(), "error:") {
		return "", fmt.Errorf("trellis-sim: %s", s.lines.Text())
	}
	return s.lines.Text(), nil
}

// Stop ends it.
func (s *Simulator) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	for s.lines.Scan() {                      // its last words
	}
	_ = s.cmd.Wait() // how it ended is of no interest
}
