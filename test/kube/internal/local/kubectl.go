//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trellis-operator/trellis/test/kube/internal/state"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// linkRecords are the records of links to kubectl, one a checkout.
const linkRecords = "kubectl"

// linkKubectl leaves kubectl in the checkout's bin folder. The program knows
// what it is by its name, so a link of that name is enough.
func (c *Cluster) linkKubectl(ctx context.Context) error {
	if c.BinFolder == "" {
		return nil
	}
	kubectl, err := c.Tool(ctx, tools.Kubernetes, "kubectl")
	if err != nil {
		return err
	}
	link := filepath.Join(c.BinFolder, "kubectl")
	if target, err := os.Readlink(link); err == nil && target == kubectl {
		return nil
	}
	if err := state.Save(c.Dir, linkRecords, digest([]byte(link)), link); err != nil {
		return err
	}
	if err := os.MkdirAll(c.BinFolder, 0o755); err != nil {
		return err
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is in the way: %w", link, err)
	}
	return os.Symlink(kubectl, link)
}

// unlinkKubectl removes the link from every checkout that has one.
func (c *Cluster) unlinkKubectl() error {
	cache, err := tools.Folder()
	if err != nil {
		return err
	}
	names, err := state.Names(c.Dir, linkRecords)
	if err != nil {
		return err
	}
	links := []string{filepath.Join(c.BinFolder, "kubectl")}
	for _, name := range names {
		link, found, err := state.Load[string](c.Dir, linkRecords, name)
		if err != nil {
			return err
		}
		if found {
			links = append(links, link)
		}
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(target, cache+"/") {
			continue // not there, or not ours
		}
		if err := os.Remove(link); err != nil {
			return err
		}
		_ = os.Remove(filepath.Dir(link)) // only if nothing else is in it
	}
	return nil
}
