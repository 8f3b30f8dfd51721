package helper

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Name of the program where it is installed.
const Name = "trellis-helper"

// install copies this program into dir. It is put in place by a rename: a pod that restarts must not overwrite what a
// probe is running.
func install(dir string, stdout io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("this program does not find itself: %w", err)
	}
	target := filepath.Join(dir, Name)
	if err := copyProgram(self, target); err != nil {
		return fmt.Errorf("copying the helper to %s failed: %w", target, err)
	}
	_, err = fmt.Fprintf(stdout, "installed %s\n", target)
	return err
}

func copyProgram(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), Name+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	if _, err = io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err = out.Chmod(0o555); err != nil {
		out.Close()
		return err
	}
	if err = out.Close(); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}
