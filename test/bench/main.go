// Command bench measures the real programs on this machine, prints a table, and writes a JSON object a line to
// bench/latest.jsonl. A figure that falls short of its goal stays in both as it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/trellis-operator/trellis/test/bench/rig"
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
	// Fsync is the p50 in ms of a synced write of 4 KiB, and JetStream how many durable messages a second 32 writers get
	// acknowledged, shortly before; of the rows that write.
	Fsync     float64 `json:"fsync_ms,omitempty"`
	JetStream float64 `json:"jetstream_per_s,omitempty"`
}

// secretsName is the name of the measurement of secrets.
const secretsName = "secrets"

// options of a run.
type options struct {
	objects     int
	short, long bool
	only        string
	out         string
	// program is the trellis whose API is measured, parts what of it.
	program, parts string
}

func main() {
	if served, err := rig.ServeNATS(os.Args[1:]); served {
		exit(err)
	}
	o := options{short: os.Getenv("TRELLIS_BENCH_SHORT") != ""}
	objects := 10_000
	if o.short {
		objects = 1000
	}
	flag.IntVar(&o.objects, "objects", objects, "applications to measure the API with (TRELLIS_BENCH_SHORT=1: fewer, and shorter)")
	flag.StringVar(&o.only, "only", "", "measure only these, by commas: "+strings.Join(slices.Sorted(maps.Keys(o.measures())), ", "))
	flag.StringVar(&o.program, "trellis", filepath.Join("bin", "trellis"), "the trellis whose API and orchestrator are measured")
	flag.StringVar(&o.parts, "parts", "", "measure only these parts of the API, by commas, after the objects were made: "+strings.Join(partNames(), ", "))
	flag.BoolVar(&o.long, "long", false, "measure for as long and as much as goals say: five minutes at a rate, five at rest, 5,000 applications exposed")
	flag.StringVar(&o.out, "out", filepath.Join("bench", "latest.jsonl"), "file to write the figures to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// measures by name. Each takes a folder of its own to work in.
func (o *options) measures() map[string]func(context.Context, string) ([]row, error) {
	all := planes(*o)
	maps.Copy(all, map[string]func(context.Context, string) ([]row, error){
		"api": measureAPI(*o), "nats": measureNATS, "host": measureHost, "dev": measureStart,
		"lattice": measureLattice(*o),
	})
	return all
}

// chosen are the names of what is measured, in order.
func (o *options) chosen() ([]string, error) {
	if o.only == "" {
		return []string{"nats", "host", "dev", "api", "lattice", "exposure", "hostgroups", secretsName}, nil
	}
	names := strings.Split(o.only, ",")
	for _, name := range names {
		if o.measures()[name] == nil {
			return nil, fmt.Errorf("-only names %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(o.measures())), ", "))
		}
	}
	return names, nil
}

func run(ctx context.Context, o options) (err error) {
	names, err := o.chosen()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "trellis-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var rows []row
	var failed error
	for _, name := range names {
		var found []row
		found, failed = o.measures()[name](ctx, dir)
		load := loadAverage()
		for i := range found {
			if found[i].Load == 0 {
				found[i].Load = load
			}
		}
		rows = append(rows, found...)
		if failed != nil {
			break // what was measured before is not lost with what could not be
		}
	}
	if err := write(o.out, rows); err != nil {
		return errors.Join(failed, err)
	}
	print(rows)
	fmt.Println("written to", o.out)
	return failed
}

func write(out string, rows []row) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("make the folder of results: %w", err)
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	for _, r := range rows {
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("encode %s: %w", r.Name, err)
		}
	}
	if err := os.WriteFile(out, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

func print(rows []row) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVALUE\tUNIT\tPEER\tPEER VALUE\tGOAL\tHOLDS\tLOAD\tFSYNC ms\tJETSTREAM/s")
	for _, r := range rows {
		holds, peer := "-", "-"
		if r.Holds != nil {
			holds = map[bool]string{true: "yes", false: "NO"}[*r.Holds]
		}
		if r.Peer != "" {
			peer = fmt.Sprintf("%.4g", r.PeerValue)
		}
		fmt.Fprintf(table, "%s\t%.4g\t%s\t%s\t%s\t%s\t%s\t%.2f\t%s\t%s\n", r.Name, r.Value, r.Unit, or(r.Peer, "-"), peer, or(r.Goal, "-"), holds, r.Load, known(r.Fsync, "%.2f"), known(r.JetStream, "%.0f"))
	}
	_ = table.Flush()
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// known is a figure that not every row has.
func known(value float64, format string) string {
	if value == 0 {
		return "-"
	}
	return fmt.Sprintf(format, value)
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
