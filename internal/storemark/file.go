package storemark

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// File is the shelf of `trellis dev`: a file of the state folder. Another process may write it (`trellis store accept`).
type File struct {
	Path string
}

var _ Shelf = (*File)(nil)

// Load implements Shelf.
func (f *File) Load(context.Context) (Record, string, error) {
	raw, err := os.ReadFile(f.Path)
	if errors.Is(err, os.ErrNotExist) {
		return Record{}, "", ErrNone
	}
	if err != nil {
		return Record{}, "", fmt.Errorf("read the mark of the store: %w", err)
	}
	var data map[string]string
	if err := json.Unmarshal(raw, &data); err != nil {
		return Record{}, "", fmt.Errorf("read %s: %w; delete it if the store is the right one", f.Path, err)
	}
	record, err := Parse(data)
	if err != nil {
		return Record{}, "", fmt.Errorf("read %s: %w; delete it if the store is the right one", f.Path, err)
	}
	sum := sha256.Sum256(raw)
	return record, hex.EncodeToString(sum[:]), nil
}

// Save implements Shelf: compare and replace under a lock, never a half file.
func (f *File) Save(ctx context.Context, r Record, version string) (err error) {
	unlock, err := f.lock()
	if err != nil {
		return fmt.Errorf("lock the mark of the store: %w", err)
	}
	defer unlock()
	_, present, err := f.Load(ctx)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	if present != version {
		return ErrConflict
	}
	raw, err := json.MarshalIndent(r.Data(), "", "  ")
	if err != nil {
		return err
	}
	next := f.Path + ".next"
	if err := os.WriteFile(next, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the mark of the store: %w", err)
	}
	if err := os.Rename(next, f.Path); err != nil {
		return fmt.Errorf("write the mark of the store: %w", err)
	}
	return nil
}

func (f *File) lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(f.Path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil // closing gives the lock back
}
