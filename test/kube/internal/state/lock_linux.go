package state

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another run works on the same cluster.
var ErrLocked = errors.New("another command is bringing this machine's cluster up or down; wait for it and try again")

// Lock makes the folder if needed and holds it until the returned function is
// called or the process ends. The lock is on the folder itself, so that
// nothing is left beside it when the folder is removed.
func (d Dir) Lock() (unlock func(), err error) {
	for {
		if err := os.MkdirAll(string(d), 0o755); err != nil {
			return nil, fmt.Errorf("the state folder cannot be made: %w", err)
		}
		folder, err := os.Open(string(d))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			folder.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, ErrLocked
			}
			return nil, err
		}
		if d.isStill(folder) {
			return func() { folder.Close() }, nil
		}
		folder.Close() // removed by a "down" between open and lock
	}
}

func (d Dir) isStill(folder *os.File) bool {
	held, err1 := folder.Stat()
	now, err2 := os.Stat(string(d))
	if err1 != nil || err2 != nil {
		return false
	}
	return held.Sys().(*syscall.Stat_t).Ino == now.Sys().(*syscall.Stat_t).Ino
}
