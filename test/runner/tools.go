package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// packages name the Debian package of each program that is needed and may be missing.
var packages = map[string]string{"gcc": "gcc libc6-dev", "npm": "nodejs npm", "git": "git"}

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
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("these packages are missing and can only be installed as root with apt-get: install %s yourself", strings.Join(names, ", "))
	}
	quiet := []string{"DEBIAN_FRONTEND=noninteractive"}
	update := runEnv(quiet, "apt-get", "update", "-qq")
	install := runEnv(quiet, "apt-get", append([]string{"install", "-y", "-qq", "--no-install-recommends"}, names...)...)
	return errors.Join(update(ctx), install(ctx))
}
