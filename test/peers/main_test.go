//go:build peers && linux

// Package peers runs programs of others against Trellis: Flux and Argo CD. They run as processes of this machine, against
// the cluster that KUBECONFIG names with Trellis installed, or else against a control plane without nodes that the tests
// make for themselves, in a network namespace of their own. `make test-peers` builds what they need.
package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/trellis-operator/trellis/test/isolated"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard()) // warnings of the API server, which are not what is tested here
	if named := os.Getenv("KUBECONFIG"); named != "" {
		fmt.Println("peers: against the cluster of", named)
		os.Exit(m.Run())
	}
	os.Exit(isolated.Run(m))
}

// required is a variable that the runner sets.
func required(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set; `make test-peers` builds what these tests need and sets it", name)
	}
	return value
}

// root is the folder of the sources.
func root(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const processStop = 20 * time.Second

// start runs a program until the end of the test; its output goes to a log whose end is shown if the test fails.
func start(t *testing.T, name, path string, env []string, args ...string) {
	t.Helper()
	logPath := filepath.Join(logs(t), name+".log")
	log, err := os.Create(logPath)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		select {
		case <-ended:
			t.Errorf("%s ended by itself (%s); its log is %s", name, cmd.ProcessState, logPath)
		default:
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
		}
		select {
		case <-ended:
		case <-time.After(processStop):
			_ = cmd.Process.Kill()
			<-ended
		}
		_ = log.Close()
		showEnd(t, logPath)
	})
}

// logs is the folder of logs: one below TRELLIS_PEERS_LOGS that stays, or one that goes with the test.
func logs(t *testing.T) string {
	t.Helper()
	base := os.Getenv("TRELLIS_PEERS_LOGS")
	if base == "" {
		return t.TempDir()
	}
	dir := filepath.Join(base, t.Name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

const linesShown = 15

// showEnd shows the end of a log if the test failed.
func showEnd(t *testing.T, path string) {
	t.Helper()
	if !t.Failed() {
		return
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Log(err)
		return
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	t.Logf("the end of %s:\n%s", path, strings.Join(lines[max(0, len(lines)-linesShown):], "\n"))
}

const (
	patience = 2 * time.Minute
	interval = 200 * time.Millisecond
)

// eventually asks until the answer is empty; what is missing is the answer.
func eventually(t *testing.T, what string, missing func(context.Context) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	last := ""
	for ctx.Err() == nil {
		if last = missing(ctx); last == "" {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(interval):
		}
	}
	t.Fatalf("%s: not within %s: %s", what, patience, last)
}
