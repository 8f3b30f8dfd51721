package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ErrCacheUnsafe says that somebody else could put code into the cache.
var ErrCacheUnsafe = errors.New("the folder for compiled code must belong to this user and be closed to others")

// cache keeps compiled code on disk. What is in it is machine code that will be executed, so the folder must be ours
// alone, and every file is checked against the sum that was written with it: a crash or a full disk leaves no trap.
type cache struct {
	dir string
}

// openCache makes the folder. The name of its sub-folder carries everything that makes compiled code incompatible.
func openCache(dir, compatibility string) (*cache, error) {
	sum := sha256.Sum256([]byte(compatibility))
	dir = filepath.Join(dir, "wasmtime-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for compiled code cannot be made: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 || !ownedByUs(info) {
		return nil, fmt.Errorf("%w: %s", ErrCacheUnsafe, dir)
	}
	return &cache{dir: dir}, nil
}

func (c *cache) path(digest [32]byte) string {
	return filepath.Join(c.dir, hex.EncodeToString(digest[:])+".cwasm")
}

// find returns the file with the compiled code of a component, if it is there and whole.
func (c *cache) find(digest [32]byte) (string, bool) {
	path := c.path(digest)
	want, err := os.ReadFile(path + ".sum")
	if err != nil {
		return "", false
	}
	file, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", false
	}
	return path, bytes.Equal(bytes.TrimSpace(want), []byte(hex.EncodeToString(sum.Sum(nil))))
}

func (c *cache) store(digest [32]byte, native []byte) error {
	sum := sha256.Sum256(native)
	path := c.path(digest)
	if err := c.write(path, native); err != nil {
		return err
	}
	return c.write(path+".sum", []byte(hex.EncodeToString(sum[:])))
}

// write replaces a file at once: another host that shares the folder sees the old one or the new one.
func (c *cache) write(path string, content []byte) error {
	f, err := os.CreateTemp(c.dir, strings.TrimSuffix(filepath.Base(path), ".cwasm")+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
