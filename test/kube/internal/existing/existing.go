// Package existing is a cluster that somebody else made: it is used, never
// changed, and images reach it through a registry.
package existing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/trellis-operator/trellis/test/kube/internal/image"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// Cluster is reached by a kubeconfig.
type Cluster struct {
	kubeconfig string
	registry   string
	host       name.Registry
	cache      *tools.Cache
	report     tools.Reporter
}

const (
	setKubeconfig = "set KUBECONFIG to the file that reaches your cluster"
	setRegistry   = "set IMAGE_REGISTRY to a registry that you may push to and your cluster may pull from, as registry.example.com/team"
)

// New returns the cluster of the kubeconfig; images go to the registry, a
// host name with an optional path, that the cluster's nodes can pull from.
func New(kubeconfig, registry string, cache *tools.Cache, report tools.Reporter) (*Cluster, error) {
	if kubeconfig == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, errors.New(setKubeconfig)
		}
		kubeconfig = filepath.Join(home, ".kube", "config")
		if _, err := os.Stat(kubeconfig); err != nil {
			return nil, fmt.Errorf("CLUSTER=existing needs to know your cluster, and neither KUBECONFIG nor %s is there; %s", kubeconfig, setKubeconfig)
		}
	} else if _, err := os.Stat(kubeconfig); err != nil {
		return nil, fmt.Errorf("KUBECONFIG is %s, which cannot be read (%w); %s", kubeconfig, reason(err), setKubeconfig)
	}
	if registry == "" {
		return nil, errors.New("CLUSTER=existing needs a registry for the images; " + setRegistry)
	}
	registry = strings.TrimSuffix(registry, "/")
	parsed, err := name.NewRepository(registry + "/trellis")
	if err != nil || strings.Contains(registry, "://") || parsed.RegistryStr() == name.DefaultRegistry && !strings.HasPrefix(registry, "docker.io/") {
		return nil, fmt.Errorf("IMAGE_REGISTRY is %q, which names no registry; %s", registry, setRegistry)
	}
	return &Cluster{kubeconfig: kubeconfig, registry: registry, host: parsed.Registry, cache: cache, report: report}, nil
}

// reason is an error of a file without its path.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Up checks that the cluster and the registry answer.
func (c *Cluster) Up(ctx context.Context) error {
	if err := c.report.Step("existing cluster answers", func() error { return c.answers(ctx) }); err != nil {
		return err
	}
	return c.report.Step("registry "+c.host.RegistryStr()+" answers", func() error { return c.registryAnswers(ctx) })
}

func (c *Cluster) answers(ctx context.Context) error {
	output, err := c.kubectl(ctx, "get", "--raw", "/readyz", "--request-timeout=10s")
	if err == nil {
		return nil
	}
	said := strings.Split(strings.TrimSpace(string(output)), "\n")
	return fmt.Errorf("the cluster of %s does not answer (%s); see that `kubectl --kubeconfig %s get nodes` works from here, or %s",
		c.kubeconfig, cmp.Or(said[len(said)-1], err.Error()), c.kubeconfig, setKubeconfig)
}

// registryAnswers asks for nothing but an answer: what may be pushed shows when it is pushed.
func (c *Cluster) registryAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.host.Scheme()+"://"+c.host.RegistryStr()+"/v2/", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		response.Body.Close()
		if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized {
			return nil
		}
		err = errors.New(response.Status)
	}
	return fmt.Errorf("the registry %s of IMAGE_REGISTRY does not answer as one (%w); start it, or %s", c.host.RegistryStr(), err, setRegistry)
}

// Down leaves the cluster alone.
func (c *Cluster) Down(context.Context) error {
	c.report.Note("the cluster of %s was there before and stays", c.kubeconfig)
	return nil
}

// Status lists the cluster's nodes.
func (c *Cluster) Status(ctx context.Context, out io.Writer) error {
	if err := c.answers(ctx); err != nil {
		return err
	}
	output, err := c.kubectl(ctx, "get", "nodes", "-o", "wide")
	if err != nil {
		return fmt.Errorf("the nodes of %s cannot be listed: %w: %s", c.kubeconfig, err, strings.TrimSpace(string(output)))
	}
	_, err = out.Write(output)
	return err
}

// Kubeconfig is the user's.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Insecure says whether the registry is spoken to without TLS: one at a private or loopback address is.
func (c *Cluster) Insecure() bool { return c.host.Scheme() == "http" }

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
