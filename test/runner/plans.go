package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// plans are what can be run, by name.
var plans = map[string]func() []stage{
	"tools": func() []stage { return []stage{{"tools", time.Minute, need("gcc")}} },
	"check": func() []stage { return check(nil) },
	"test":  test,
	"up":    up,
	"bench": bench,
	"down": func() []stage {
		return []stage{{"down", 2 * time.Minute, run("go", "run", "-C", "test/kube", ".", "down")}}
	},
	"generate": func() []stage { return []stage{{"generate", 3 * time.Minute, generate}} },
	"verify": func() []stage {
		return []stage{{"generate", 3 * time.Minute, generate}, {"clean tree", time.Minute, cleanTree}}
	},
	"peers": func() []stage { return nil },
}

type missing struct{ name, why string }

// notYet names the stages that a plan will have and does not have yet, so that nobody takes their absence for success.
var notYet = map[string][]missing{
	"test": {
		{"third-party peers", "Traefik, Flux, Argo CD, External Secrets and wash are not run yet"},
		{"the cluster's own test", "run it where no cluster is up: TRELLIS_KUBE_TEST=1 go test -C test/kube ."},
		{"simulated lattice", "thousands of hosts and their faults are not simulated yet"},
		{"store: kill and power loss", "no killed servers, no lost power, no full disk yet"},
	},
	"peers": {{"third-party peers", "Traefik, Flux, Argo CD, External Secrets and wash are not run yet"}},
}

func names() []string {
	all := make([]string, 0, len(plans))
	for name := range plans {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// check needs no cluster. required is environment that makes tests fail which would otherwise say that they are not run.
func check(required *[]string) []stage {
	unit := func(ctx context.Context) error {
		var env []string
		if required != nil {
			env = *required
		}
		return runEnv(append(env, "TRELLIS_REQUIRE_JS=1"), "go", "test", "-race", "-timeout=15m", "./...")(ctx)
	}
	return []stage{
		{"tools", time.Minute, need("gcc")},
		{"modules", 8 * time.Minute, run("go", "mod", "download")},
		{"build", 6 * time.Minute, run("go", "build", "./...")},
		{"build without cgo", 2 * time.Minute, runEnv([]string{"CGO_ENABLED=0"}, "go", "build", "./internal/wasmhost/...", "./cmd/trellis-host", "./cmd/trellis-helper")},
		{"format", time.Minute, formatted},
		{"vet", 3 * time.Minute, run("go", "vet", "./...")},
		{"lint", 3 * time.Minute, run("go", "tool", "-modfile=hack/tools/go.mod", "staticcheck", "./...")},
		{"JavaScript component", 2 * time.Minute, javascript},
		{"unit", 12 * time.Minute, unit},
	}
}

// test is everything: check, then the real cluster with the end-to-end scenarios.
func test() []stage {
	var required []string
	c := &cluster{images: map[string]string{}}
	stages := []stage{{"Kubernetes programs", 18 * time.Minute, func(ctx context.Context) (err error) {
		required, err = c.tools(ctx)
		return err
	}}}
	stages = append(stages, check(&required)...)
	stages = append(stages, stage{"unit of test/kube", 2 * time.Minute, run("go", "test", "-C", "test/kube", "./...")})
	stages = append(stages, c.make()...)
	return append(stages, stage{"end to end", 14 * time.Minute, func(ctx context.Context) error {
		return runEnv(c.env, "go", "test", "-count=1", "-tags=e2e", "-timeout=20m", "./test/e2e")(ctx)
	}}, stage{"down", time.Minute, c.downUnlessKept})
}

// generate writes all generated files anew.
func generate(ctx context.Context) error {
	return run("go", "generate", "./api/...", "./internal/...")(ctx)
}

// cleanTree fails when generated files differ from those in git.
func cleanTree(ctx context.Context) error {
	out, err := output(ctx, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if out = strings.TrimSpace(out); out != "" {
		return fmt.Errorf("these files differ after generating; commit what `make generate` writes:\n%s", out)
	}
	return nil
}

// keepCluster says whether a cluster that `make test` made stays, to look at after a failure.
func keepCluster() bool { return os.Getenv("KEEP_CLUSTER") != "" }
