package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// plans are what can be run, by name, with the words that follow the name.
var plans = map[string]func([]string) []stage{
	"tools": func([]string) []stage { return []stage{{"tools", time.Minute, need("gcc")}} },
	"check": func([]string) []stage { return check(nil) },
	"test":  test,
	"ci":    ci,
	"up":    up,
	"bench": bench,
	"down": func([]string) []stage {
		return []stage{{"down", 2 * time.Minute, run("go", "run", "-C", "test/kube", ".", "down")}}
	},
	"generate": func([]string) []stage { return []stage{{"generate", 3 * time.Minute, generate}} },
	"verify": func([]string) []stage {
		return []stage{{"generate", 3 * time.Minute, generate}, {"clean tree", time.Minute, cleanTree}}
	},
	"peers":     peers,
	"test-long": long,
}

// limits are how long some plans may take as a whole.
var limits = map[string]time.Duration{"ci": ciLimit}

type missing struct{ name, why string }

// notYet names the stages that a plan will have and does not have yet, so that nobody takes their absence for success.
var notYet = map[string][]missing{}

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
		{"random histories", 8 * time.Minute, histories("-histories=20000")},
		{"planted bugs", 4 * time.Minute, mutants(2)},
	}
}

// histories runs the orchestrator through random histories in virtual time, without the race detector, which the unit
// stage has for some of them. It logs their number.
func histories(length string) func(context.Context) error {
	return run("go", "test", "-C", "internal/orchestrator", "-count=1", "-v", "-timeout=90m", "-run=TestHistories$", ".", length)
}

// mutants plants some bugs and lets the histories find them.
func mutants(n int) func(context.Context) error {
	return run("go", "test", "-C", "internal/orchestrator", "-count=1", "-v", "-timeout=60m", "-run=TestMutants", ".", fmt.Sprint("-mutants=", n))
}

// test is everything: check, then the real cluster with the end-to-end scenarios.
func test([]string) []stage {
	var required []string
	c := &cluster{images: map[string]string{}, env: []string{nodes(2)}}
	stages := []stage{{"Kubernetes programs", 18 * time.Minute, func(ctx context.Context) (err error) {
		required, err = c.tools(ctx)
		return err
	}}}
	stages = append(stages, check(&required)...)
	stages = append(stages,
		stage{"unit of test/kube", 2 * time.Minute, run("go", "test", "-C", "test/kube", "./...")},
		stage{"store: kill and power loss", 4 * time.Minute, faults("10m")},
		stage{"programs", 6 * time.Minute, c.programs},
		stage{"API semantics", 4 * time.Minute, func(ctx context.Context) error { return semantics(ctx, required) }},
		stage{"the cluster's own test", 5 * time.Minute, c.selfTest})
	stages = append(stages, c.make()...)
	return append(stages,
		stage{"end to end", 14 * time.Minute, func(ctx context.Context) error {
			return runEnv(c.env, "go", "test", "-count=1", "-tags=e2e", "-timeout=40m", "./test/e2e")(ctx)
		}},
		stage{"CLUSTER=existing", 4 * time.Minute, c.asExisting},
		stage{"down", time.Minute, c.downUnlessKept})
}

// long is what takes too long for every change, at full length. docs/long-tests.md keeps the results.
func long([]string) []stage {
	return []stage{
		{"tools", time.Minute, need("gcc")},
		{"store: kill and power loss", 30 * time.Minute, faults("60m", "TRELLIS_LONG=1")},
		// Other seeds each day: the same hour of them again would find nothing new.
		{"random histories", 70 * time.Minute, func(ctx context.Context) error {
			return run("go", "test", "-C", "internal/orchestrator", "-count=1", "-v", "-timeout=90m", "-run=TestHistories$", ".",
				"-for=1h", fmt.Sprint("-seed=", time.Now().Unix()/(24*60*60)*10_000_000))(ctx)
		}},
		{"random histories over NATS", 20 * time.Minute, run("go", "test", "-C", "internal/orchestrator", "-count=1", "-v", "-timeout=30m",
			"-run=TestHistoriesOverNATS", ".", "-over-nats=200")},
		{"planted bugs", 20 * time.Minute, mutants(math.MaxInt16)},
	}
}

// faults runs the failure tests of the store. Without a package in the command, go test shows their closing lines.
func faults(timeout string, env ...string) func(context.Context) error {
	return runEnv(append(env, "TRELLIS_FAULTS=1"), "go", "test", "-C", "test/store", "-count=1", "-timeout="+timeout)
}

// semantics asks whether the Application API is a Kubernetes API, of a control plane without nodes.
func semantics(ctx context.Context, env []string) error {
	return runEnv(env, "go", "test", "-count=1", "-tags=conformance", "-parallel=8", "-timeout=10m", "./test/conformance")(ctx)
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
