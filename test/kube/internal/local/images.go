//go:build linux

package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/trellis-operator/trellis/test/kube/internal/image"
	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/state"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// imported is the record of a node's images: what each was made from.
type imported map[string]string

// LoadImages builds the images and puts them into every node; those that a
// node has already, made from the same files, are left out.
func (c *Cluster) LoadImages(ctx context.Context, specs []image.Spec) error {
	if !c.Dir.Exists() {
		return fmt.Errorf("there is no cluster on this machine; start it with \"up\"")
	}
	for n := 1; n <= c.Nodes; n++ {
		if err := c.loadNode(ctx, network.NodeName(n), specs); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) loadNode(ctx context.Context, node string, specs []image.Spec) error {
	have, _, err := state.Load[imported](c.Dir, "images", node)
	if err != nil {
		return err
	}
	if have == nil {
		have = imported{}
	}
	missing := map[string]v1.Image{}
	for _, spec := range specs {
		made, err := madeFrom(spec)
		if err != nil {
			return err
		}
		if have[spec.Ref] == made {
			continue
		}
		if missing[spec.Ref], err = image.Build(spec); err != nil {
			return err
		}
		have[spec.Ref] = made
	}
	if len(missing) == 0 {
		return nil
	}
	ctr, err := c.Tool(ctx, tools.Containerd, "ctr")
	if err != nil {
		return err
	}
	socket := filepath.Join(c.nodeFolder(node), "containerd.sock")
	if err := image.Import(ctx, ctr, socket, missing); err != nil {
		return err
	}
	return state.Save(c.Dir, "images", node, have)
}

// madeFrom names what an image is made from without reading all of it.
func madeFrom(spec image.Spec) (string, error) {
	content, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	files := map[string]string{}
	for _, path := range spec.Programs {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("the program for image %s is not there; build it first: %w", spec.Ref, err)
		}
		files[path] = fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
	}
	stats, err := json.Marshal(files) // sorted by key
	return digest(append(content, stats...)), err
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

func (c *Cluster) systemImages(ctx context.Context) ([]image.Spec, error) {
	for _, tool := range tools.Cluster() {
		if _, err := c.folder(ctx, tool.Name); err != nil {
			return nil, err
		}
	}
	return image.System(func(tool string) string { return c.paths[tool] }), nil
}
