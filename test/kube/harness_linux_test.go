package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runner is the built program, used as a user does.
type runner struct{ path string }

func buildRunner(t *testing.T) runner {
	t.Helper()
	r := runner{path: filepath.Join(t.TempDir(), "kube")}
	goBuild(t, r.path, ".", "CGO_ENABLED=0")
	return r
}

func goBuild(t *testing.T, output, source string, env ...string) {
	t.Helper()
	command := exec.Command("go", "build", "-o", output, source)
	command.Env = append(os.Environ(), env...)
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", source, err, text)
	}
}

func (r runner) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, r.path, args...)
	command.Env = append(os.Environ(), env...)
	return command
}

// try runs a command and returns what it printed to stdout, and the error with
// what it printed to stderr.
func (r runner) try(t *testing.T, input string, env []string, args ...string) (string, string, error) {
	t.Helper()
	// Not the test's own context: cleaning up goes on after its end. A cold
	// build is part of the time.
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Minute)
	defer cancel()
	command := r.command(ctx, env, args...)
	var out, errs bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &errs
	err := command.Run()
	return out.String(), errs.String(), err
}

// run is try for what has to succeed.
func (r runner) run(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := r.try(t, "", nil, args...)
	if err != nil {
		t.Fatalf("kube %s: %v\n%s%s", strings.Join(args, " "), err, out, errs)
	}
	t.Logf("kube %s\n%s", strings.Join(args, " "), errs)
	return out
}

func (r runner) apply(t *testing.T, objects string) {
	t.Helper()
	if out, errs, err := r.try(t, objects, nil, "kubectl", "apply", "-f", "-"); err != nil {
		t.Fatalf("kubectl apply: %v\n%s%s", err, out, errs)
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, patience time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}
