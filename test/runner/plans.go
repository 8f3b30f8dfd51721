package main

import (
	"context"
	"slices"
	"time"
)

// plans are what can be run, by name.
var plans = map[string]func() []stage{
	"tools": func() []stage { return nil },
	"check": check,
	"test":  test,
	"up":    up,
	"down": func() []stage {
		return []stage{{"down", 2 * time.Minute, run("go", "run", "-C", "test/kube", ".", "down")}}
	},
}

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

func check() []stage {
	return []stage{
		{"modules", 8 * time.Minute, run("go", "mod", "download")},
		{"build", 6 * time.Minute, run("go", "build", "./...")},
		{"build without cgo", 2 * time.Minute, runEnv([]string{"CGO_ENABLED=0"}, "go", "build", "./internal/wasmhost/...", "./cmd/trellis-host", "./cmd/trellis-helper")},
		{"format", time.Minute, formatted},
		{"vet", 3 * time.Minute, run("go", "vet", "./...")},
		{"lint", 3 * time.Minute, run("go", "tool", "-modfile=hack/tools/go.mod", "staticcheck", "./...")},
		{"unit", 10 * time.Minute, run("go", "test", "-race", "./...")},
	}
}

// test is everything: check, then the real cluster with the end-to-end scenarios.
func test() []stage {
	c := &cluster{images: map[string]string{}}
	stages := append(check(), c.make()...)
	return append(stages, stage{"end to end", 14 * time.Minute, func(ctx context.Context) error {
		return runEnv(c.env, "go", "test", "-count=1", "-tags=e2e", "-timeout=20m", "./test/e2e")(ctx)
	}})
}
