package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/test/peers/programs"
)

// peerTests are the tests of the peers that can be run, by the name of the peer.
var peerTests = map[string]peerTest{
	"flux":             {test: "TestFlux", env: "TRELLIS_PEER_FLUX", build: 7 * time.Minute},
	"argocd":           {test: "TestArgoCD", env: "TRELLIS_PEER_ARGOCD", build: 7 * time.Minute},
	"traefik":          {test: "TestTraefik", env: "TRELLIS_PEER_TRAEFIK", build: 7 * time.Minute, pods: true},
	"external-secrets": {test: "TestExternalSecrets", env: "TRELLIS_PEER_EXTERNAL_SECRETS", build: 8 * time.Minute, pods: true},
	"wash":             {test: "TestWash", env: "TRELLIS_PEER_WASH", build: 35 * time.Minute, tools: []string{"protoc"}},
}

type peerTest struct {
	test, env string
	// build is the budget of a build with empty caches.
	build time.Duration
	// tools that the build needs beside the compiler.
	tools []string
	// pods says that it needs a cluster with nodes.
	pods bool
}

// peers runs the named peers against a control plane that the tests make for themselves; with CLUSTER=local, and where one
// of them needs pods, against the local cluster, with CLUSTER=existing against the user's own.
func peers(named []string) []stage {
	var env []string
	c := &cluster{images: map[string]string{}}
	stages := []stage{
		{"tools", time.Minute, need("git", "gcc")},
		{"Kubernetes programs", 18 * time.Minute, func(ctx context.Context) (err error) {
			env, err = c.tools(ctx)
			return err
		}},
	}
	asked := os.Getenv("CLUSTER") != ""
	inCluster := asked || slices.ContainsFunc(chosen(named), func(p programs.Peer) bool { return peerTests[p.Name].pods })
	if inCluster {
		stages = append(stages, c.make()...)
	} else {
		stages = append(stages, stage{"programs", 6 * time.Minute, c.programs})
	}
	for _, p := range chosen(named) {
		run := peerTests[p.Name]
		folder := ""
		stages = append(stages, stage{p.Name + ": build", run.build, func(ctx context.Context) (err error) {
			if err := need(run.tools...)(ctx); err != nil {
				return err
			}
			folder, err = buildPeer(ctx, p)
			return err
		}}, stage{p.Name + ": test", 5 * time.Minute, func(ctx context.Context) error {
			variables := slices.Concat(env, []string{run.env + "=" + folder, "KUBECONFIG="})
			if asked || run.pods {
				variables = append(variables, c.env...)
			}
			return runEnv(variables, "go", "test", "-v", "-count=1", "-tags=peers", "-timeout=20m", "-run=^"+run.test+"$", "./test/peers")(ctx)
		}})
	}
	for _, name := range unknown(named) {
		stages = append(stages, stage{name, 0, func(context.Context) error {
			return fmt.Errorf("there is no peer %q; known are %s", name, strings.Join(slices.Sorted(maps.Keys(peerTests)), ", "))
		}})
	}
	if inCluster {
		stages = append(stages, stage{"down", time.Minute, c.downUnlessKept})
	}
	return stages
}

// chosen are the named peers, or all.
func chosen(named []string) []programs.Peer {
	return slices.DeleteFunc(programs.Peers(), func(p programs.Peer) bool { return len(named) > 0 && !slices.Contains(named, p.Name) })
}

func unknown(named []string) []string {
	return slices.DeleteFunc(slices.Clone(named), func(name string) bool { _, known := peerTests[name]; return known })
}

func buildPeer(ctx context.Context, p programs.Peer) (string, error) {
	cache, err := peerCache()
	if err != nil {
		return "", err
	}
	return cache.Path(ctx, p)
}

func peerCache() (*programs.Cache, error) {
	return programs.Open("test/peers", func(format string, args ...any) {
		fmt.Println(strings.TrimSpace(fmt.Sprintf(format, args...)))
	})
}

// peerTime is how long a peer may take: its build, if it is not built, and the rest.
func peerTime(ctx context.Context, name string) (time.Duration, error) {
	beyond := peerTests[name].build - peerBuild
	if beyond <= 0 {
		return peerNeeds, nil
	}
	cache, err := peerCache()
	if err != nil {
		return 0, err
	}
	_, built, err := cache.Find(ctx, chosen([]string{name})[0])
	if err != nil || built {
		return peerNeeds, err
	}
	return peerNeeds + beyond, nil
}
