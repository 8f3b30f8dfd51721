package state

import (
	"errors"
	"os"
	"testing"
)

func TestLock(t *testing.T) {
	dir := Dir(t.TempDir() + "/state")
	unlock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock gives %v", err)
	}
	// What "down" does: the folder goes while the lock is held.
	if err := os.RemoveAll(string(dir)); err != nil {
		t.Fatal(err)
	}
	unlock()
	again, err := dir.Lock()
	if err != nil {
		t.Fatalf("after the folder was removed: %v", err)
	}
	again()
}
