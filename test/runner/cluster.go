package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/examples/hello"
)

const (
	system       = "trellis-system"
	release      = "trellis"
	mirrorTarget = "registry.registry.svc.cluster.local:5000/trellis-operator"
	rollOut      = "5m"
)

// cluster is the local cluster, or the user's own (CLUSTER=existing), as test/kube shows it.
type cluster struct {
	env    []string // KUBECONFIG of the cluster
	images map[string]string
	// found says that the cluster was there before.
	found bool
}

// downUnlessKept takes the cluster away, unless it was there before or is to be looked at.
func (c *cluster) downUnlessKept(ctx context.Context) error {
	if c.found || keepCluster() {
		fmt.Println("the cluster stays; `make down` takes it away")
		return nil
	}
	_, err := c.kube(ctx, "down")
	return err
}

// nodes says how many nodes the cluster gets, unless the user does.
func nodes(n int) string {
	return "NODES=" + cmp.Or(os.Getenv("NODES"), strconv.Itoa(n))
}

func up([]string) []stage {
	c := &cluster{images: map[string]string{}}
	return append(append(c.make(), stage{"hello world", 2 * time.Minute, c.hello}), gateway(c)...)
}

// make brings up the cluster with Trellis in it.
func (c *cluster) make() []stage {
	return []stage{
		// First, because a machine or a cluster that cannot be used shows here.
		{"cluster", 18 * time.Minute, c.up},
		{"programs", 6 * time.Minute, c.programs},
		{"images", time.Minute, c.load},
		{"chart", 4 * time.Minute, c.install},
	}
}

// programs builds what goes into the images, as `make build` does.
func (c *cluster) programs(ctx context.Context) error { return run("make", "build")(ctx) }

// tools builds what the cluster is made of, and returns the environment by which tests find it.
func (c *cluster) tools(ctx context.Context) ([]string, error) {
	if _, err := c.kube(ctx, "build"); err != nil {
		return nil, err
	}
	kubernetes, err := c.kube(ctx, "path", "kubernetes")
	if err != nil {
		return nil, err
	}
	helm, err := c.kube(ctx, "path", "helm")
	if err != nil {
		return nil, err
	}
	return []string{
		"KUBEBUILDER_ASSETS=" + strings.TrimSpace(kubernetes), "TRELLIS_HELM=" + strings.TrimSpace(helm) + "/helm",
	}, nil
}

// up makes the cluster, or takes the one that runs.
func (c *cluster) up(ctx context.Context) error {
	var err error
	if c.found, err = c.isUp(ctx); err != nil {
		return err
	}
	out, err := c.kube(ctx, "up")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(out, "\n") {
		if variable, ok := strings.CutPrefix(line, "export "); ok {
			c.env = append(c.env, strings.ReplaceAll(variable, `"`, ""))
		}
	}
	return nil
}

func (c *cluster) load(ctx context.Context) error {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	out, err := c.kube(ctx, "load-images", "--trellis", bin+"/trellis", "--helper", bin+"/trellis-helper", "--host", bin+"/trellis-host")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(out, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			c.images[name] = value
		}
	}
	component, err := filepath.Abs("examples/hello/component/hello.wasm")
	if err != nil {
		return err
	}
	_, err = c.kube(ctx, "push-component", hello.Image, component)
	return err
}

// install installs or upgrades the release with one helm command; when it returns, the API answers.
func (c *cluster) install(ctx context.Context) error {
	chart, err := filepath.Abs("charts/trellis")
	if err != nil {
		return err
	}
	repository, tag := cutTag(c.images["NATS_IMAGE"])
	trellis, _ := cutTag(c.images["TRELLIS_IMAGE"])
	args := []string{"helm", "upgrade", "--install", release, chart, "--namespace", system, "--create-namespace", "--wait", "--timeout", rollOut}
	values := map[string]string{
		"image.repository":          trellis,
		"image.tag":                 c.images["IMAGE_TAG"],
		"nats.image.repository":     repository,
		"nats.image.tag":            tag,
		"hosts.image":               c.images["HOST_IMAGE"],
		"hosts.leafImage":           c.images["NATS_IMAGE"],
		"hosts.mirrors[0].prefix":   "ghcr.io/trellis-operator",
		"hosts.mirrors[0].target":   mirrorTarget,
		"hosts.mirrors[0].insecure": "true",
		"secrets.enabled":           "true",
	}
	if existing() {
		// What the user chose for this cluster, such as its storage, stays.
		args = append(args, "--reset-then-reuse-values")
		values["hosts.mirrors[0].target"] = c.variable("COMPONENT_REGISTRY") + "/trellis-operator"
		values["hosts.mirrors[0].insecure"] = c.variable("COMPONENT_REGISTRY_INSECURE")
	} else {
		values["nats.storage.type"], values["nats.storage.hostPath"] = "hostPath", "/var/lib/trellis/nats"
		values[`nats.nodeSelector.kubernetes\.io/hostname`] = "trellis-node-1" // where that folder is
	}
	for name, value := range values {
		args = append(args, "--set", name+"="+value)
	}
	out, err := c.kube(ctx, args...)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, c.diagnosis(ctx))
	}
	fmt.Print(out)
	return nil
}

func (c *cluster) kubectl(ctx context.Context, args ...string) (string, error) {
	return c.kube(ctx, append([]string{"kubectl"}, args...)...)
}

// kube runs a command of test/kube; its progress passes through, its output is returned.
func (c *cluster) kube(ctx context.Context, args ...string) (string, error) {
	cmd := command(ctx, "go", append([]string{"run", "-C", "test/kube", "."}, args...)...)
	cmd.Env = append(os.Environ(), c.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := finish(ctx, cmd); err != nil {
		return out.String(), fmt.Errorf("test/kube %s: %w", strings.Join(args[:min(2, len(args))], " "), err)
	}
	return out.String(), nil
}

// existing says that the user's own cluster is used, with its own storage and registry.
func existing() bool { return os.Getenv("CLUSTER") == "existing" }

// variable is what test/kube said of the cluster.
func (c *cluster) variable(name string) string {
	for _, v := range c.env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

func cutTag(image string) (repository, tag string) {
	if at := strings.LastIndex(image, ":"); at > strings.LastIndex(image, "/") {
		return image[:at], image[at+1:]
	}
	return image, ""
}
