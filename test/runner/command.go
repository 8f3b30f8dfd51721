package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// goodbye is how long commands have to end after they were told to.
const goodbye = 30 * time.Second

// command makes a command that is told to end, with all that it started, as Ctrl-C tells it.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = goodbye
	return cmd
}

// finish runs a command to its end. What a command that was told to end leaves of its group is killed.
func finish(ctx context.Context, cmd *exec.Cmd) error {
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		if killErr := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, killErr)
		}
	}
	return err
}

// run returns a step that runs a command in the repository's root, with its output passed through.
func run(name string, args ...string) func(context.Context) error { return runEnv(nil, name, args...) }

// runEnv is run with additional environment entries.
func runEnv(env []string, name string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		cmd := command(ctx, name, args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), env...)
		if err := finish(ctx, cmd); err != nil {
			return fmt.Errorf("`%s` ended with %w; its output above says why, and the same command can be run by hand",
				strings.Join(append(append([]string(nil), env...), append([]string{name}, args...)...), " "), err)
		}
		return nil
	}
}

// formatted fails when a Go file is not formatted as gofmt would.
func formatted(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "gofmt", "-l", "api", "cmd", "internal", "test", "examples").Output()
	if err != nil {
		return fmt.Errorf("gofmt: %w", err)
	}
	if files := strings.TrimSpace(string(out)); files != "" {
		return fmt.Errorf("these files are not formatted; run `gofmt -w` on them:\n%s", files)
	}
	return nil
}

// output runs a command and returns what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return string(out), nil
}
