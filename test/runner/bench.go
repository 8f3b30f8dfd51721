package main

import (
	"context"
	"time"
)

// bench measures and prints; what falls short stays in the table as it is.
func bench([]string) []stage {
	var env []string
	c := &cluster{images: map[string]string{}}
	return []stage{
		{"Kubernetes programs", 18 * time.Minute, func(ctx context.Context) (err error) {
			env, err = c.tools(ctx)
			return err
		}},
		{"tools", time.Minute, need("gcc")},
		{"JavaScript component", 2 * time.Minute, javascript},
		{"programs", 6 * time.Minute, run("make", "build")},
		{"bench", 40 * time.Minute, func(ctx context.Context) error { return runEnv(env, "go", "run", "./test/bench")(ctx) }},
	}
}
