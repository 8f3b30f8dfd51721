package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// packages name the Debian package of each program that is needed and may be missing.
var packages = map[string]string{"gcc": "gcc libc6-dev", "npm": "nodejs npm", "git": "git", "protoc": "protobuf-compiler"}

// need returns a step that installs what is missing of some programs.
func need(programs ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		var missing []string
		for _, program := range programs {
			if _, err := exec.LookPath(program); err != nil {
				missing = append(missing, strings.Fields(packages[program])...)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		slices.Sort(missing)
		return installPackages(ctx, slices.Compact(missing))
	}
}

func installPackages(ctx context.Context, names []string) error {
	list := strings.Join(names, ", ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("these packages are missing and can only be installed as root with apt-get: install %s yourself", list)
	}
	fmt.Printf("installing %s with apt-get\n", list)
	// A source of packages that does not answer is no failure as long as the others have what is needed.
	updateErr := apt(ctx, "update")
	if err := apt(ctx, append([]string{"install", "--yes", "--no-install-recommends"}, names...)...); err != nil {
		return fmt.Errorf("%s cannot be installed; install them yourself and try again: %w", list, errors.Join(updateErr, err))
	}
	return nil
}

// apt runs apt-get; what it says shows only when it fails.
func apt(ctx context.Context, args ...string) error {
	cmd := command(ctx, "apt-get", append([]string{"--quiet"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := finish(ctx, cmd); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLines(strings.TrimSpace(said.String()), 5))
	}
	return nil
}
