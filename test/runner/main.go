// Command runner runs the project's stages one after the other, shows how long each took against its budget, and ends
// with a line that says what passed. `make check`, `make test` and `make up` are names for it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// stage is one step of a run.
type stage struct {
	name string
	// budget is what the step may take on two cores with cold caches. Exceeding it is printed, not failed.
	budget time.Duration
	run    func(context.Context) error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		fail(fmt.Errorf("name what to run: %s", strings.Join(names(), ", ")))
	}
	stages, known := plans[os.Args[1]]
	if !known {
		fail(fmt.Errorf("there is no %q; known are %s", os.Args[1], strings.Join(names(), ", ")))
	}
	if err := runAll(ctx, os.Args[1], stages()); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "runner:", err)
	os.Exit(1)
}

// runAll runs the stages in order, stops at the first that fails, and prints the table of times in every case.
func runAll(ctx context.Context, plan string, stages []stage) error {
	start := time.Now()
	var lines []string
	passed := 0
	var failure error
	for _, s := range stages {
		fmt.Printf("==> %s (budget %s, %s since start)\n", s.name, s.budget, time.Since(start).Round(time.Second))
		began := time.Now()
		failure = s.run(ctx)
		took := time.Since(began).Round(100 * time.Millisecond)
		lines = append(lines, fmt.Sprintf("  %-28s %10s of %-8s %s", s.name, took, s.budget, verdict(failure, took, s.budget)))
		if failure != nil {
			failure = fmt.Errorf("stage %q failed: %w", s.name, failure)
			break
		}
		passed++
	}
	fmt.Printf("\n%s: stages and their budgets (two cores, cold caches)\n%s\n", plan, strings.Join(lines, "\n"))
	for _, missing := range notYet[plan] {
		fmt.Printf("  %-28s NOT RUN: %s\n", missing.name, missing.why)
	}
	fmt.Printf("  total %s\n", time.Since(start).Round(time.Second))
	failed := 0
	if failure != nil {
		failed = 1
	}
	fmt.Printf("stages: %d passed, %d failed\n", passed, failed)
	return failure
}

func verdict(err error, took, budget time.Duration) string {
	switch {
	case err != nil:
		return "FAILED"
	case took > budget:
		return "ok, OVER BUDGET"
	}
	return "ok"
}
