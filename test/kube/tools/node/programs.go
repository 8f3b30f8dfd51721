package main

import (
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Pauses before a program is started again: short, so that a killed kubelet
// is back at once, and growing, so that a broken one does not fill its log.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 10 * time.Second
	longRun    = 30 * time.Second
)

// supervisor starts programs and, being process 1, takes the exit of every
// process that nobody else waits for.
type supervisor struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
}

// supervise runs the programs until the node is told to end.
func supervise(programs []Program) error {
	s := &supervisor{waiting: map[int]chan syscall.WaitStatus{}}
	signals := make(chan os.Signal, 32)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	for _, program := range programs {
		// What a former life of the node left must not be waited for.
		_ = os.Remove(program.After)
	}
	for _, program := range programs {
		go s.keep(program)
	}
	for received := range signals {
		if received != syscall.SIGCHLD {
			log.Print("the node ends")
			return nil
		}
		s.reap()
	}
	return nil
}

func (s *supervisor) keep(program Program) {
	pause := firstPause
	for {
		awaitFile(program.After)
		begun := time.Now()
		pid, ended, err := s.start(program)
		if err != nil {
			log.Printf("%s does not start: %v", program.Name, err)
		} else {
			log.Printf("%s started as %d", program.Name, pid)
			status := <-ended
			log.Printf("%s ended (%s); its log is %s", program.Name, describe(status), program.Log)
		}
		if time.Since(begun) > longRun {
			pause = firstPause
		}
		time.Sleep(pause)
		pause = min(2*pause, lastPause)
	}
}

func (s *supervisor) start(program Program) (int, <-chan syscall.WaitStatus, error) {
	output, err := os.OpenFile(program.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return 0, nil, err
	}
	defer output.Close()
	// Held over the start: the exit of a program that ends at once must not
	// be taken before its channel is known.
	s.mu.Lock()
	defer s.mu.Unlock()
	process, err := os.StartProcess(program.Path, append([]string{program.Name}, program.Args...), &os.ProcAttr{
		Dir: "/", Env: environment(), Files: []*os.File{os.Stdin, output, output},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	s.waiting[process.Pid] = ended
	pid := process.Pid
	return pid, ended, process.Release()
}

func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		s.mu.Lock()
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		ended := s.waiting[pid]
		delete(s.waiting, pid)
		s.mu.Unlock()
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 {
			return
		}
		if ended != nil {
			ended <- status
		}
	}
}

// environment is the node's without the harness's marks: by those the harness
// finds the node, and it must not find a program of the node instead.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "TRELLIS_KUBE_")
	})
}

// awaitFile returns when the file is there. Inotify cannot watch a path whose
// folder may be replaced, so it looks.
func awaitFile(path string) {
	for path != "" {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
