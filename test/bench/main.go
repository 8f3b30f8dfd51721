// Command bench measures the real programs on this machine, prints a table, and writes a JSON object a line to
// bench/latest.jsonl. A figure that falls short of its goal stays in both as it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
)

// row is one figure.
type row struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Peer is what it is compared with in the same run, if anything.
	Peer      string  `json:"peer,omitempty"`
	PeerValue float64 `json:"peer_value,omitempty"`
	// Goal is in words; Holds says whether the value meets it, and is absent where there is no goal.
	Goal  string `json:"goal,omitempty"`
	Holds *bool  `json:"holds,omitempty"`
	// Load is the machine's load average of one minute when the figure was taken.
	Load float64 `json:"load"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "trellis-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var rows []row
	for _, measure := range []func(context.Context, string) ([]row, error){measureNATS, measureHost, measureStart} {
		found, err := measure(ctx, dir)
		if err != nil {
			return err
		}
		load := loadAverage()
		for i := range found {
			found[i].Load = load
		}
		rows = append(rows, found...)
	}
	if err := write(rows); err != nil {
		return err
	}
	print(rows)
	return nil
}

func write(rows []row) error {
	if err := os.MkdirAll("bench", 0o755); err != nil {
		return fmt.Errorf("make the folder of results: %w", err)
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	for _, r := range rows {
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("encode %s: %w", r.Name, err)
		}
	}
	if err := os.WriteFile(filepath.Join("bench", "latest.jsonl"), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

func print(rows []row) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVALUE\tUNIT\tPEER\tPEER VALUE\tGOAL\tHOLDS\tLOAD")
	for _, r := range rows {
		holds, peer := "-", "-"
		if r.Holds != nil {
			holds = map[bool]string{true: "yes", false: "NO"}[*r.Holds]
		}
		if r.Peer != "" {
			peer = fmt.Sprintf("%.4g", r.PeerValue)
		}
		fmt.Fprintf(table, "%s\t%.4g\t%s\t%s\t%s\t%s\t%s\t%.2f\n", r.Name, r.Value, r.Unit, or(r.Peer, "-"), peer, or(r.Goal, "-"), holds, r.Load)
	}
	_ = table.Flush()
	fmt.Println("written to bench/latest.jsonl")
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// atMost is a goal.
func atMost(r row, limit float64) row {
	holds := r.Value <= limit
	r.Goal, r.Holds = fmt.Sprintf("<= %g %s", limit, r.Unit), &holds
	return r
}

func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1 // not Linux
	}
	var one float64
	if _, err := fmt.Sscan(string(text), &one); err != nil {
		return -1
	}
	return one
}
