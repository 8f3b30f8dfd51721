// Package existing is a cluster that somebody else made: it is used, never
// changed, and images reach it through a registry.
package existing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/trellis-operator/trellis/test/kube/internal/image"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// Cluster is reached by a kubeconfig.
type Cluster struct {
	kubeconfig string
	registry   string
	cache      *tools.Cache
	report     tools.Reporter
}

// New returns the cluster of the kubeconfig; images go to the registry, a
// host name with an optional path, that the cluster's nodes can pull from.
func New(kubeconfig, registry string, cache *tools.Cache, report tools.Reporter) (*Cluster, error) {
	if kubeconfig == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, errors.New("set KUBECONFIG to the file that reaches your cluster")
		}
		kubeconfig = filepath.Join(home, ".kube", "config")
	}
	if _, err := os.Stat(kubeconfig); err != nil {
		return nil, fmt.Errorf("set KUBECONFIG to the file that reaches your cluster: %w", err)
	}
	if registry == "" {
		return nil, errors.New("set IMAGE_REGISTRY to a registry that you may push to and your cluster may pull from, as registry.example.com/team")
	}
	return &Cluster{kubeconfig: kubeconfig, registry: strings.TrimSuffix(registry, "/"), cache: cache, report: report}, nil
}

// Up checks that the cluster answers.
func (c *Cluster) Up(ctx context.Context) error {
	return c.report.Step("existing cluster answers", func() error {
		output, err := c.kubectl(ctx, "get", "--raw", "/readyz")
		if err != nil {
			return fmt.Errorf("the cluster of %s does not answer: %w: %s", c.kubeconfig, err, strings.TrimSpace(string(output)))
		}
		return nil
	})
}

// Down leaves the cluster alone.
func (c *Cluster) Down(context.Context) error {
	c.report.Note("the cluster of %s was there before and stays", c.kubeconfig)
	return nil
}

// Status lists the cluster's nodes.
func (c *Cluster) Status(ctx context.Context, out io.Writer) error {
	output, err := c.kubectl(ctx, "get", "nodes", "-o", "wide")
	if err != nil {
		return fmt.Errorf("the cluster of %s does not answer: %w: %s", c.kubeconfig, err, strings.TrimSpace(string(output)))
	}
	_, err = out.Write(output)
	return err
}

// Kubeconfig is the user's.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Registry is the registry of IMAGE_REGISTRY, for components too.
func (c *Cluster) Registry() string { return c.registry }

// ImageRef moves a public name to the registry of IMAGE_REGISTRY.
func (c *Cluster) ImageRef(ref string) string {
	return c.registry + "/" + ref[strings.Index(ref, "/")+1:]
}

// LoadImages builds the images, and the NATS image that the chart uses beside
// them, and pushes them.
func (c *Cluster) LoadImages(ctx context.Context, specs []image.Spec) error {
	tool, _ := tools.ByName(tools.NATS)
	folder, err := c.cache.Path(ctx, tool, c.report)
	if err != nil {
		return err
	}
	for _, spec := range append(specs, image.NATSSpec(folder)) {
		img, err := image.Build(spec)
		if err != nil {
			return err
		}
		if err := image.Push(ctx, c.ImageRef(spec.Ref), img); err != nil {
			return err
		}
	}
	return nil
}

// kubectl is the user's, or else the one that the harness builds.
func (c *Cluster) kubectl(ctx context.Context, args ...string) ([]byte, error) {
	program, err := exec.LookPath("kubectl")
	if err != nil {
		tool, _ := tools.ByName(tools.Kubernetes)
		folder, err := c.cache.Path(ctx, tool, c.report)
		if err != nil {
			return nil, err
		}
		program = filepath.Join(folder, "kubectl")
	}
	return exec.CommandContext(ctx, program, append([]string{"--kubeconfig", c.kubeconfig}, args...)...).CombinedOutput()
}
