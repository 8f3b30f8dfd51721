// Command trellis-sim puts a simulated lattice on a NATS server: any number of wasmCloud hosts that speak the control
// interface and run nothing, for whatever orchestrator is on the other side.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/trellis-operator/trellis/test/sim"
	"github.com/trellis-operator/trellis/test/sim/script"
	"github.com/trellis-operator/trellis/test/sim/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "trellis-sim:", err)
		os.Exit(1)
	}
}

type options struct {
	wire     wire.Options
	hosts    int
	labels   map[string]string
	zones    int
	ramp     time.Duration
	duration time.Duration
	script   string

	command, fetch, start, stop script.Range
}

const about = `trellis-sim puts a simulated wasmCloud lattice on a NATS server: hosts that answer the control interface as
wasmCloud 1.9.2 does, send heartbeats and events, keep the lattice's two buckets, and run nothing.

It ends with SIGINT or SIGTERM, or after --duration, and then writes its counters as a line of JSON: commands by verb,
events by kind, replies, and messages lost to faults and to the server's limit.

A script says what goes wrong and when (docs/spec/simulator.md has every word of it):

  steps:
  - at: 10s
    kill: {count: 3}                        # three hosts, chosen by the seed
  - at: 20s
    faults: {loseEvent: 0.1, delayReply: 5ms..50ms, failing: {"ghcr.io/acme/http:2": "no such image"}}
  - at: 40s
    mute: {label: zone=a}
  - at: 60s
    calm: true

With --script - the steps come from standard input, one a line in JSON or in YAML's short form, and each is done when it is
read: {kill: {count: 1}}. Whoever is done with it closes standard input; the hosts live on.`

func command() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use: "trellis-sim", Short: "a simulated wasmCloud lattice on a NATS server", Long: about,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f, c := cmd.Flags(), &o.wire.Config
	f.StringVar(&o.wire.URL, "nats", "nats://127.0.0.1:4222", "address of the NATS server")
	f.StringVar(&o.wire.Creds, "creds", "", "path of a .creds file")
	f.IntVar(&o.wire.Connections, "connections", 4, "connections that the hosts share")
	f.StringVar(&c.Lattice, "lattice", "default", "name of the lattice")
	f.StringVar(&c.Domain, "js-domain", "", "JetStream domain of the lattice's buckets")
	f.IntVar(&o.hosts, "hosts", 1, "how many hosts")
	f.StringToStringVar(&o.labels, "labels", nil, "labels of all hosts, key=value by commas")
	f.IntVar(&o.zones, "zones", 0, "give hosts the label zone=0, zone=1 and so on in turn, so many of them")
	f.DurationVar(&o.ramp, "ramp", 0, "start the hosts spread over this time instead of at once")
	f.DurationVar(&c.Heartbeat, "heartbeat", sim.DefaultHeartbeat,
		"time between two heartbeats of a host; the first ones are spread over it")
	f.Var(&o.command, "command-delay", "time from a command to its answer, as 5ms or 5ms..50ms")
	f.Var(&o.fetch, "fetch-delay", "how long an image is fetched, with each scale, update and start")
	f.Var(&o.start, "start-delay", "how long a component or a provider takes to start")
	f.Var(&o.stop, "stop-delay", "how long a provider takes to stop")
	f.DurationVar(&c.HealthEvery, "health-check", sim.DefaultHealthEvery, "time between two health checks of a provider")
	f.BoolVar(&c.Signed, "signed", false, "components carry claims")
	f.BoolVar(&c.NoBuiltins, "no-builtins", false, "hosts have no builtin providers")
	f.Uint64Var(&c.Seed, "seed", 1, "seed of ids, names, delays, faults and of what a script chooses")
	f.StringVar(&o.script, "script", "", "file with the steps of a script; - reads steps from standard input")
	f.DurationVar(&o.duration, "duration", 0, "end after this time")
	return cmd
}

func (o *options) run(ctx context.Context, in io.Reader, out io.Writer) error {
	var steps script.Script
	if o.script != "" && o.script != "-" {
		text, err := os.ReadFile(o.script)
		if err != nil {
			return fmt.Errorf("read the script: %w", err)
		}
		if steps, err = script.Parse(text); err != nil {
			return err
		}
	}
	if o.duration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, o.duration)
		defer stop()
	}
	c := &o.wire.Config
	c.CommandDelay, c.FetchDelay = sim.Range(o.command), sim.Range(o.fetch)
	c.StartDelay, c.StopDelay = sim.Range(o.start), sim.Range(o.stop)
	w, err := wire.Start(ctx, o.wire)
	if err != nil {
		return err
	}
	defer w.Close()
	report := func() error { return json.NewEncoder(out).Encode(w.Counts()) }
	if err := o.populate(ctx, w); err != nil {
		return errors.Join(err, report())
	}
	fmt.Fprintf(out, "%d hosts are up in lattice %s\n", len(w.Hosts()), c.Lattice)
	var failed error
	runner := script.NewRunner(w.Lattice, c.Seed, func() { failed = errors.Join(failed, report()) })
	err = o.play(ctx, runner, steps, in, out)
	return errors.Join(err, failed, report())
}

// populate starts the hosts, with their first heartbeats spread over an interval.
func (o *options) populate(ctx context.Context, w *wire.Wire) error {
	interval := o.wire.Config.Heartbeat
	for i := range o.hosts {
		labels := map[string]string{}
		if o.zones > 0 {
			labels["zone"] = fmt.Sprint(i % o.zones)
		}
		for k, v := range o.labels {
			labels[k] = v
		}
		first := max(interval*time.Duration(i+1)/time.Duration(o.hosts), time.Millisecond)
		w.Lattice.Start(sim.Host{Labels: labels, FirstHeartbeat: first})
		if o.ramp > 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(o.ramp / time.Duration(o.hosts)):
			}
		}
	}
	if err := w.Flush(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("start the hosts: %w", err)
	}
	return nil
}

// play does the script and waits for the end.
func (o *options) play(ctx context.Context, r *script.Runner, steps script.Script, in io.Reader, out io.Writer) error {
	if o.script != "-" {
		if err := r.Run(ctx, steps); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	lines, ended := make(chan string), make(chan error, 1)
	go func() { // it ends with the program: a read of standard input cannot be called off
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		ended <- scanner.Err()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("read steps: %w", err)
			}
			ended = nil
		case line := <-lines:
			step, err := script.ParseStep([]byte(line))
			if err == nil {
				err = r.Do(step)
			}
			if err != nil {
				fmt.Fprintln(out, "error:", err) // whoever writes steps reads it, and goes on
				continue
			}
			if !step.Report {
				fmt.Fprintln(out, "done")
			}
		}
	}
}
