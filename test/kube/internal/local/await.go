//go:build linux

package local

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/test/kube/internal/process"
)

// await asks until the answer is nil, the deadline is over, or the process
// that is waited for has died.
func (c *Cluster) await(ctx context.Context, patience time.Duration, what, part string, ask func(context.Context) error) error {
	parent := ctx
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // one that is more than "time is over"
		}
		if record, running, err := process.Find(c.Dir, part); err == nil && !running && record.PID != 0 {
			return fmt.Errorf("%s ended by itself while it was waited for; its log, %s, ends with:\n%s", part, c.log(part), tail(c.log(part)))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if parent.Err() != nil {
				return fmt.Errorf("interrupted while waiting for %s; \"up\" goes on from here, \"down\" removes what is there", what)
			}
			return fmt.Errorf("%s was not ready after %s (%w); read the logs in %s, then run \"up\" again, or \"down\" and \"up\"", what, patience, last, c.Dir.Path("logs"))
		}
	}
}

// tail returns the last lines of a log that are not mere information.
func tail(path string) string {
	const lines = 8
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	var last []string
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		last = append(last, "  "+scanner.Text())
		if len(last) > lines {
			last = last[1:]
		}
	}
	return strings.Join(last, "\n")
}
