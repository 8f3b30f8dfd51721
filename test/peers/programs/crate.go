package programs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// install builds a crate with the versions that its authors have locked, into the folder bin of folder. What was compiled
// is kept until the build has ended well, so that one which was interrupted goes on where it was.
func (c *Cache) install(ctx context.Context, p Peer, folder string) error {
	if err := rust(); err != nil {
		return err
	}
	compiled := filepath.Join(c.root, p.Name, "target")
	cmd := patient(ctx, "cargo", "install", p.Crate, "--version", p.Version, "--locked", "--root", folder)
	cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+compiled)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing crate %s %s failed (%w); mend what it says and run the same command again:\n%s",
			p.Crate, p.Version, err, out[max(0, len(out)-outputShown):])
	}
	return os.RemoveAll(compiled)
}

// outputShown is how much of the output of a failed build is shown, in bytes: it begins with a thousand lines of progress.
const outputShown = 4096

func rust() error {
	if _, err := exec.LookPath("cargo"); err != nil {
		return fmt.Errorf("cargo is missing; install Rust 1.95 or newer as https://rustup.rs says and run the same command again")
	}
	return nil
}

// crateKey is the hash of what decides what the installation of a crate gives.
func crateKey(ctx context.Context, p Peer) (string, error) {
	if err := rust(); err != nil {
		return "", err
	}
	version, err := output(ctx, "", "rustc", "--version")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Append(nil, version, runtime.GOOS, runtime.GOARCH, p))
	return hex.EncodeToString(sum[:])[:16], nil
}
