package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// measureStart takes the time from nothing running to the answer of hello world, with state and without.
func measureStart(ctx context.Context, dir string) ([]row, error) {
	state := filepath.Join(dir, "dev")
	var rows []row
	for _, name := range []string{"trellis dev: start to answer, first time", "trellis dev: start to answer, again"} {
		began := time.Now()
		cmd := exec.CommandContext(ctx, "bin/trellis", "dev", "--once", "--state-dir", state, "--apply", "examples/hello/application.yaml",
			"--nats-port", "0", "--api-port", "0", "--registry-port", "0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		rows = append(rows, atMost(row{Name: name + " (with its end)", Value: time.Since(began).Seconds(), Unit: "s"}, 5))
	}
	return rows, nil
}
