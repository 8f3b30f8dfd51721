package programs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// key is the hash of everything that decides what the build of a peer gives: the module's files, the packages, the flags,
// the Go version, the platform.
func key(ctx context.Context, source string, p Peer) (string, error) {
	if p.Crate != "" {
		return crateKey(ctx, p)
	}
	version, err := output(ctx, source, "go", "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	// %v prints maps in the order of their keys.
	fmt.Fprintln(sum, strings.TrimSpace(version), runtime.GOOS, runtime.GOARCH, fmt.Sprint(p), flags(p))
	err = filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		fmt.Fprintln(sum, name, len(content))
		sum.Write(content)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("the sources of %s cannot be read; is this a whole checkout? %w", p.Name, err)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// copyDefinitions takes the definitions of the peer's kinds out of its module.
func (p Peer) copyDefinitions(ctx context.Context, source, target string) error {
	dir, err := output(ctx, source, "go", "list", "-m", "-f", "{{.Dir}}", cmp.Or(p.DefinitionsModule, p.Module))
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(dir), p.Definitions, "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("module %s has no definitions in %s (%v)", p.Module, p.Definitions, err)
	}
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue // a list of the others
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(target, filepath.Base(file)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s in %s: %w", name, strings.Join(args, " "), dir, err)
	}
	return string(out), nil
}
