// Package helper is the program that Trellis puts into pods: it installs itself, answers exec probes, and
// keeps a host up until others have taken its share. It imports
// nothing but the standard library, so that it stays small and starts in milliseconds.
package helper

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage:
  trellis-helper install DIR
  trellis-helper probe nats [--address 127.0.0.1:4222] [--timeout 3s]
  trellis-helper probe leaf --lattice NAME [--domain default] [--address 127.0.0.1:4222] [--timeout 3s]
  trellis-helper probe http [--timeout 3s] URL
  trellis-helper probe tcp [--address 127.0.0.1:4222] [--timeout 3s]
  trellis-helper drain --lattice NAME [--address 127.0.0.1:4222] [--timeout 35s]
`

// podUIDEnv is the variable by which the host of a pod gets the label that carries the pod's uid.
const podUIDEnv = "WASMCLOUD_LABEL_kubernetes_pod_uid"

// Run runs the program and returns its exit code. What a probe says is shown by Kubernetes in the events of the pod.
func Run(args []string, stdout, stderr io.Writer) int {
	err := run(args, stdout)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	fmt.Fprintln(stderr, err)
	return exitFailed
}

func run(args []string, stdout io.Writer) error {
	if len(args) < 2 {
		return errUsage
	}
	switch args[0] {
	case "install":
		return install(args[1], stdout)
	case "probe":
		return probe(args[1], args[2:])
	case "drain":
		return drain(args[1:], os.Getenv(podUIDEnv), stdout)
	}
	return errUsage
}

func probe(kind string, args []string) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	address := flags.String("address", "127.0.0.1:4222", "")
	timeout := flags.Duration("timeout", 3*time.Second, "")
	lattice := flags.String("lattice", "", "")
	domain := flags.String("domain", "", "")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	switch {
	case kind == "http" && flags.NArg() == 1:
		return probeHTTP(ctx, flags.Arg(0))
	case flags.NArg() > 0:
		return errUsage
	case kind == "tcp":
		return probeTCP(ctx, *address)
	case kind == "nats":
		return probeNATS(ctx, *address)
	case kind == "leaf" && *lattice != "":
		return probeLeaf(ctx, *address, *domain, *lattice)
	}
	return errUsage
}

// drain always succeeds: a host must be able to end, whatever is wrong. What it says is read by nobody but by people who
// run it by hand.
func drain(args []string, podUID string, stdout io.Writer) error {
	flags := flag.NewFlagSet("drain", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	address := flags.String("address", "127.0.0.1:4222", "")
	timeout := flags.Duration("timeout", 35*time.Second, "")
	lattice := flags.String("lattice", "", "")
	if err := flags.Parse(args); err != nil || *lattice == "" || flags.NArg() > 0 {
		return errUsage
	}
	d := &drainer{address: *address, subject: "trellis.drain." + *lattice, podUID: podUID, timeout: *timeout,
		every: 500 * time.Millisecond, answer: 2 * time.Second, least: 5 * time.Second, silence: 15 * time.Second, settle: 2 * time.Second}
	fmt.Fprintf(stdout, "The host may end: %s.\n", d.run(context.Background()))
	return nil
}
