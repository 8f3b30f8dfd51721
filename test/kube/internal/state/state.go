// Package state is the folder in which the cluster keeps everything it has and
// everything it knows about itself: data, logs, certificates, and records of
// what was made outside of the folder. A record is written before the thing is
// made, so that whatever survives a crash can be found again.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Root is the folder of this machine's one cluster.
const Root = "/var/lib/trellis-kube"

// Dir is a state folder.
type Dir string

// Path joins elements to the folder's path.
func (d Dir) Path(elements ...string) string {
	return filepath.Join(append([]string{string(d)}, elements...)...)
}

// Exists tells whether the folder is there.
func (d Dir) Exists() bool {
	_, err := os.Stat(string(d))
	return err == nil
}

// Make makes a folder below the state folder and returns its path.
func (d Dir) Make(mode fs.FileMode, elements ...string) (string, error) {
	path := d.Path(elements...)
	if err := os.MkdirAll(path, mode); err != nil {
		return "", fmt.Errorf("the state folder cannot be written: %w", err)
	}
	return path, nil
}

// WriteFile replaces a file below the folder in one step: whoever reads it
// sees the old or the new content, and a crash leaves one of the two.
func (d Dir) WriteFile(content []byte, mode fs.FileMode, elements ...string) error {
	path := d.Path(elements...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("the state folder cannot be written: %w", err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return fmt.Errorf("the state folder cannot be written: %w", err)
	}
	return os.Rename(temporary, path)
}

// Save stores a record under a name.
func Save[T any](d Dir, kind, name string, record T) error {
	content, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	return d.WriteFile(append(content, '\n'), 0o600, "records", kind, name+".json")
}

// Load reads a record. A record that is missing, or cut short by a crash of
// the machine, is reported as not found.
func Load[T any](d Dir, kind, name string) (record T, found bool, err error) {
	content, err := os.ReadFile(d.Path("records", kind, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return record, false, nil
	}
	if err != nil {
		return record, false, err
	}
	if json.Unmarshal(content, &record) != nil {
		var empty T
		return empty, false, nil
	}
	return record, true, nil
}

// Names lists the records of a kind, sorted.
func Names(d Dir, kind string) ([]string, error) {
	entries, err := os.ReadDir(d.Path("records", kind))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries {
		if name, isRecord := trimExt(entry.Name()); isRecord {
			names = append(names, name)
		}
	}
	return names, err
}

// Forget removes a record; a missing one is fine.
func Forget(d Dir, kind, name string) error {
	err := os.Remove(d.Path("records", kind, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func trimExt(name string) (string, bool) {
	ext := filepath.Ext(name)
	return name[:len(name)-len(ext)], ext == ".json"
}
