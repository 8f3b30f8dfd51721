// Package programs builds the programs of third parties that Trellis is tested with, each from a Go module of its own
// below test/peers or from a crate, and keeps them in the user's cache under a name made of everything that decides what
// the build gives.
package programs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Peer is a third party whose programs are built.
type Peer struct {
	// Name is the folder below test/peers, and what PEER names.
	Name string
	// Module is where the programs come from; its version stands in the go.mod of the folder.
	Module string
	// Programs are the packages to build, by the name of the program.
	Programs map[string]string
	// LDFlags are added to "-s -w".
	LDFlags string
	// Definitions is a folder of Module, or of DefinitionsModule, with the definitions of its kinds.
	Definitions, DefinitionsModule string
	// Crate is what is installed instead of Programs, where the peer is written in Rust, in the version Version.
	Crate, Version string
}

// Peers lists what can be built.
func Peers() []Peer {
	return []Peer{
		{
			Name: "flux", Module: "github.com/fluxcd/kustomize-controller",
			Programs:    map[string]string{"kustomize-controller": "github.com/fluxcd/kustomize-controller"},
			Definitions: "config/crd/bases",
		},
		{
			Name: "argocd", Module: "github.com/argoproj/argo-cd/v3",
			Programs:    map[string]string{"argocd": "github.com/argoproj/argo-cd/v3/cmd", "redis": "./redis"},
			LDFlags:     "-X github.com/argoproj/argo-cd/v3/common.version=3.2.1",
			Definitions: "manifests/crds",
		},
		{
			Name: "traefik", Module: "github.com/traefik/traefik/v3",
			Programs:          map[string]string{"traefik": "github.com/traefik/traefik/v3/cmd/traefik"},
			DefinitionsModule: "sigs.k8s.io/gateway-api", Definitions: "config/crd/experimental",
		},
		{
			Name: "external-secrets", Module: "github.com/external-secrets/external-secrets",
			Programs:    map[string]string{"external-secrets": "github.com/external-secrets/external-secrets"},
			Definitions: "config/crds/bases",
		},
		{Name: "wash", Crate: "wash", Version: "0.43.0"},
	}
}

// Cache is the folder of built programs.
type Cache struct {
	root    string // <user cache>/trellis/peers
	sources string // <checkout>/test/peers
	report  func(format string, args ...any)
}

// Open returns the cache for the sources of one checkout; report is told how builds go on.
func Open(sources string, report func(format string, args ...any)) (*Cache, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache of the user: %w; set XDG_CACHE_HOME", err)
	}
	return &Cache{root: filepath.Join(base, "trellis", "peers"), sources: sources, report: report}, nil
}

// Path returns the folder with the programs of a peer, and its definitions in the folder crds; it builds what is missing.
func (c *Cache) Path(ctx context.Context, p Peer) (string, error) {
	final, built, err := c.Find(ctx, p)
	if err != nil || built {
		return final, err
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	folder, err := os.MkdirTemp(filepath.Dir(final), "building-")
	if err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := c.fill(ctx, p, folder); err != nil {
		return "", err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(folder, final); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("keep what was built of %s: %w", p.Name, err)
	}
	return final, nil // if it exists by now, another build of the same was faster
}

// Find returns where the programs of a peer are, or would be once they are built.
func (c *Cache) Find(ctx context.Context, p Peer) (folder string, built bool, err error) {
	key, err := key(ctx, c.source(p), p)
	if err != nil {
		return "", false, err
	}
	folder = filepath.Join(c.root, p.Name, key)
	_, err = os.Stat(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", false, fmt.Errorf("look for the programs of %s: %w", p.Name, err)
	}
	return folder, err == nil, nil
}

func (c *Cache) source(p Peer) string { return filepath.Join(c.sources, p.Name) }

func (c *Cache) fill(ctx context.Context, p Peer, folder string) error {
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.tell(ctx, p.Name, began)
	if p.Crate != "" {
		err := c.install(ctx, p, folder)
		c.report("%s: built in %s", p.Name, time.Since(began).Round(time.Second))
		return err
	}
	source := c.source(p)
	for program, pkg := range p.Programs {
		if err := build(ctx, p, source, filepath.Join(folder, program), pkg); err != nil {
			return err
		}
	}
	c.report("%s: built in %s", p.Name, time.Since(began).Round(time.Second))
	return p.copyDefinitions(ctx, source, filepath.Join(folder, "crds"))
}

const reportInterval = 20 * time.Second

// tell shows that a build goes on, until ctx ends.
func (c *Cache) tell(ctx context.Context, name string, began time.Time) {
	c.report("%s: building, several hundred modules; minutes the first time, never again while its version stays", name)
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.report("%s: building for %s", name, time.Since(began).Round(time.Second))
		}
	}
}

func build(ctx context.Context, p Peer, source, output, pkg string) error {
	cmd := patient(ctx, append([]string{"go", "build", "-o", output}, append(flags(p), pkg)...)...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s of %s failed (%w); mend what it says and run the same command again:\n%s", pkg, p.Name, err, out)
	}
	return nil
}

// patient runs at low priority where there is nice: it may take minutes.
func patient(ctx context.Context, args ...string) *exec.Cmd {
	if nice, err := exec.LookPath("nice"); err == nil {
		args = append([]string{nice, "-n", "15"}, args...)
	}
	return exec.CommandContext(ctx, args[0], args[1:]...)
}

// environment keeps what a user has set for other builds away from this one.
var environment = []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off"}

func flags(p Peer) []string {
	return []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w " + p.LDFlags}
}
