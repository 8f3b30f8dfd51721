package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// stage is one step of a run.
type stage struct {
	name string
	// budget is what the step may take on two cores with cold caches. Exceeding it is printed, not failed.
	budget time.Duration
	run    func(context.Context) error
}

// journey is a plan that is run.
type journey struct {
	plan   string
	stages []stage
	// limit ends the run as a failure; none if zero.
	limit time.Duration
	// missing is named at the end.
	missing []missing
	out     io.Writer
}

// notRun is the error of a stage that cannot run here: that is no failure, but is never silent.
type notRun struct{ why string }

func (n notRun) Error() string { return n.why }

// errLimit is why the context of a run ends at its limit.
var errLimit = errors.New("the limit of the run is reached")

// runAll runs the stages in order, stops at the first that fails, and prints the table of times in every case.
func runAll(ctx context.Context, j journey) error {
	if j.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, j.limit, errLimit)
		defer cancel()
	}
	if j.out == nil {
		j.out = os.Stdout
	}
	start := time.Now()
	var lines []string
	var failure error
	passed, left := 0, 0
	for _, s := range j.stages {
		fmt.Fprintf(j.out, "==> %s (budget %s, %s since start)\n", s.name, s.budget, time.Since(start).Round(time.Second))
		began := time.Now()
		err := s.run(ctx)
		if err == nil && ctx.Err() != nil {
			err = ctx.Err() // it ended because it was told to
		}
		took := time.Since(began).Round(100 * time.Millisecond)
		lines = append(lines, fmt.Sprintf("  %-28s %10s of %-8s %s", s.name, took, s.budget, verdict(err, took, s.budget)))
		if skipped, ok := errors.AsType[notRun](err); ok {
			fmt.Fprintf(j.out, "NOT RUN: %s: %s\n", s.name, skipped.why)
			left++
		} else if err != nil {
			failure = j.failed(ctx, s, err)
			break
		} else {
			passed++
		}
	}
	fmt.Fprintf(j.out, "\n%s: stages and their budgets (two cores, cold caches)\n%s\n", j.plan, strings.Join(lines, "\n"))
	for _, missing := range j.missing {
		fmt.Fprintf(j.out, "  %-28s NOT RUN: %s\n", missing.name, missing.why)
	}
	fmt.Fprintf(j.out, "  total %s%s\n", time.Since(start).Round(time.Second), of(j.limit))
	fmt.Fprintln(j.out, summary(passed, left, failure))
	return failure
}

func (j journey) failed(ctx context.Context, s stage, err error) error {
	if errors.Is(context.Cause(ctx), errLimit) {
		return fmt.Errorf("the run reached its limit of %s in stage %q and was ended there; the table above shows which stages took the time", j.limit, s.name)
	}
	return fmt.Errorf("stage %q failed: %w", s.name, err)
}

func verdict(err error, took, budget time.Duration) string {
	if skipped, ok := errors.AsType[notRun](err); ok {
		return "NOT RUN: " + skipped.why
	}
	switch {
	case err != nil:
		return "FAILED"
	case took > budget:
		return "ok, OVER BUDGET"
	}
	return "ok"
}

func summary(passed, left int, failure error) string {
	failed := 0
	if failure != nil {
		failed = 1
	}
	text := fmt.Sprintf("stages: %d passed, %d failed", passed, failed)
	if left > 0 {
		text += fmt.Sprintf(", %d NOT RUN", left)
	}
	return text
}

// of is the part of a line that names a limit, if there is one.
func of(limit time.Duration) string {
	if limit == 0 {
		return ""
	}
	return " of " + limit.String()
}
