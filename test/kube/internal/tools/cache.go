package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Cache is the folder of built tools.
type Cache struct {
	root    string // <user cache>/trellis/kube
	sources string // <checkout>/test/kube/tools
	goVer   string
}

// Reporter tells the user about steps; progress.Printer is one.
type Reporter interface {
	Step(name string, f func() error) error
	Note(format string, args ...any)
}

// OpenCache returns the cache below the user's cache folder for the sources
// of one checkout. It makes nothing.
func OpenCache(ctx context.Context, sources string) (*Cache, error) {
	base, err := Folder()
	if err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("the go command does not run; install Go and put it into PATH: %w", err)
	}
	return &Cache{root: base, sources: sources, goVer: strings.TrimSpace(string(version))}, nil
}

// Folder is where built tools are kept.
func Folder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder is known; set HOME or XDG_CACHE_HOME: %w", err)
	}
	return filepath.Join(base, "trellis", "kube"), nil
}

// Path returns the folder that holds the tool's programs, building them first
// if they are not there. Two builds of the same tool at once are harmless: the
// first one that ends is kept.
func (c *Cache) Path(ctx context.Context, tool Tool, report Reporter) (string, error) {
	key, err := tool.key(filepath.Join(c.sources, tool.Name), c.goVer)
	if err != nil {
		return "", err
	}
	final := filepath.Join(c.root, tool.Name+"-"+key)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return "", err
	}
	step := "built " + tool.What
	return final, report.Step(step, func() error { return c.build(ctx, tool, final) })
}

func (c *Cache) build(ctx context.Context, tool Tool, final string) error {
	temporary, err := os.MkdirTemp(c.root, "building-"+tool.Name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := c.compile(ctx, tool, temporary); err != nil {
		return err
	}
	for _, link := range tool.Links {
		if err := os.Symlink(tool.Binary, filepath.Join(temporary, link)); err != nil {
			return err
		}
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	err = os.Rename(temporary, final)
	if errors.Is(err, os.ErrExist) {
		return nil // another build of the same thing was faster
	}
	return err
}

func (c *Cache) compile(ctx context.Context, tool Tool, folder string) error {
	logPath := filepath.Join(c.root, "build-"+tool.Name+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	output := folder + string(filepath.Separator)
	if tool.Binary != "" {
		output = filepath.Join(folder, tool.Binary)
	}
	args := append([]string{"build", "-o", output}, tool.flags()...)
	command := exec.CommandContext(ctx, "go", append(args, tool.Packages...)...)
	command.Dir = filepath.Join(c.sources, tool.Name)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	command.Stdout, command.Stderr = log, log
	if err := command.Run(); err != nil {
		return fmt.Errorf("building %s failed; read %s, mend what it says (often the module proxy or the disk) and run the same command again: %w", tool.What, logPath, err)
	}
	return nil
}
