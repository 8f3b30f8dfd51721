package cli

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// devState is the one folder in which `trellis dev` keeps everything.
type devState struct {
	dir  string
	lock *os.File
}

// openDevState makes the folder if it is missing and takes its lock, so that two processes never share it.
func openDevState(dir string) (*devState, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w; choose another with --state-dir", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the state folder: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := os.ReadFile(lock.Name())
		_ = lock.Close()
		return nil, fmt.Errorf("another `trellis dev` (process %s) uses %s; end it with Ctrl-C, or choose another folder with --state-dir and other ports with --nats-port, --api-port and --registry-port",
			strings.TrimSpace(string(holder)), dir)
	}
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock the state folder %s: %w", dir, err)
	}
	if err := lock.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(lock, "%d\n", os.Getpid()) // only for the message above
	}
	return &devState{dir: dir, lock: lock}, nil
}

func (s *devState) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// close releases the lock.
func (s *devState) close() error { return s.lock.Close() }

// clusterID is what stands for the UID of kube-system where there is no cluster: made once, then kept.
func (s *devState) clusterID() (string, error) {
	path := s.path("cluster-id")
	known, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(known)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the cluster id: %w", err)
	}
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	id := "dev-" + hex.EncodeToString(random)
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the cluster id: %w", err)
	}
	return id, nil
}

// defaultDevDir is where state lives unless --state-dir says otherwise.
func defaultDevDir() string {
	if base := os.Getenv("XDG_STATE_HOME"); base != "" {
		return filepath.Join(base, "trellis", "dev")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "trellis-dev")
	}
	return filepath.Join(home, ".local", "state", "trellis", "dev")
}
