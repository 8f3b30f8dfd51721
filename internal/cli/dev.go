package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
)

// devLattice is the lattice of `trellis dev`; every namespace belongs to it.
const devLattice = "default"

// devOptions are the flags of `trellis dev`.
type devOptions struct {
	stateDir     string
	apply        string
	hostBinary   string
	noHost       bool
	natsURL      string
	natsPort     int
	apiPort      int
	registryPort int
	components   []string
	once         bool
}

func devCommand() *cobra.Command {
	o := devOptions{}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run Trellis on this machine without a cluster, until Ctrl-C",
		Long: `Run Trellis on this machine without a cluster: NATS, the Application API, the orchestrator, wadm's API, an OCI
registry and one trellis-host. Everything listens on loopback. State lives in one folder and survives restarts.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return runDev(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.stateDir, "state-dir", defaultDevDir(), "folder of all state")
	flags.StringVar(&o.apply, "apply", "", "apply the applications of this file, and show what they answer over HTTP")
	flags.StringVar(&o.hostBinary, "host-binary", "", "trellis-host to run (default: the one beside trellis, else in PATH)")
	flags.BoolVar(&o.noHost, "no-host", false, "run no host; others may join the lattice through NATS")
	flags.StringVar(&o.natsURL, "nats", "", "use the NATS server of this URL instead of an embedded one; it must have JetStream")
	flags.IntVar(&o.natsPort, "nats-port", 4222, "port of the embedded NATS server on 127.0.0.1")
	flags.IntVar(&o.apiPort, "api-port", 6443, "port of the Application API on 127.0.0.1")
	flags.IntVar(&o.registryPort, "registry-port", 5001, "port of the OCI registry on 127.0.0.1")
	flags.StringArrayVar(&o.components, "component", nil, "put a component file into the registry, as REFERENCE=FILE; repeatable")
	flags.BoolVar(&o.once, "once", false, "end after the answers of --apply were shown")
	return cmd
}

func (o *devOptions) validate() error {
	for flag, port := range map[string]int{"--nats-port": o.natsPort, "--api-port": o.apiPort, "--registry-port": o.registryPort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("%s: %d is not a port; choose one from 1 to 65535, or 0 for a free one", flag, port)
		}
	}
	for _, c := range o.components {
		if reference, file, ok := strings.Cut(c, "="); !ok || reference == "" || file == "" {
			return fmt.Errorf("--component %q: write it as REFERENCE=FILE, for example ghcr.io/acme/hello:1=hello.wasm", c)
		}
	}
	switch {
	case o.stateDir == "":
		return errors.New("--state-dir: name a folder")
	case o.once && o.apply == "":
		return errors.New("--once: goes with --apply")
	case o.noHost && o.hostBinary != "":
		return errors.New("--no-host and --host-binary exclude each other")
	}
	return nil
}

// runDev builds the parts in the order in which each needs the one before, and ends them in the reverse order.
func runDev(ctx context.Context, o devOptions, out io.Writer) (err error) {
	began := time.Now()
	saveMemory()
	state, err := openDevState(o.stateDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.close()) }()
	logger := devLogger(state)
	klog.SetLogger(logger) // what Kubernetes' libraries say belongs into the same file
	ctx = logr.NewContext(ctx, logger)

	running := newParts()
	defer func() { err = errors.Join(err, running.stop()) }()
	d := &dev{options: o, state: state, parts: running}
	for _, step := range []func(context.Context) error{
		d.startNATS, d.startRegistry, d.startAPI, d.startOrchestration, d.startHost,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.printReady(out, time.Since(began))
	if o.apply != "" {
		err := d.showAnswers(ctx, out, began)
		if ctx.Err() != nil {
			return nil // Ctrl-C while waiting is no failure
		}
		if err != nil || o.once {
			return err
		}
	}
	fmt.Fprintln(out, "Ctrl-C ends everything; what was applied is there again at the next start.")
	return running.wait(ctx)
}

func (d *dev) printReady(out io.Writer, took time.Duration) {
	fmt.Fprintf(out, "trellis dev runs (after %s).\n", took.Round(10*time.Millisecond))
	fmt.Fprintf(out, "  Application API  export KUBECONFIG=%s\n", d.kubeconfig)
	fmt.Fprintf(out, "  NATS             %s (lattice %s; wash and other hosts may join)\n", d.natsURL, devLattice)
	fmt.Fprintf(out, "  OCI registry     %s (stands in for ghcr.io/trellis-operator)\n", d.registry.Address())
	fmt.Fprintf(out, "  logs             %s\n", filepath.Join(d.state.dir, "*.log"))
}

// showAnswers applies the file of --apply, waits for its applications, and prints what they say over HTTP.
func (d *dev) showAnswers(ctx context.Context, out io.Writer, began time.Time) error {
	apps, others, err := applyFile(ctx, d.adminConfig, d.options.apply)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "applied %s; the same by kubectl:\n  kubectl --kubeconfig %s apply --server-side -f %s\n", d.options.apply, d.kubeconfig, d.options.apply)
	for _, other := range others {
		fmt.Fprintf(out, "  passed over %s: host groups belong to a cluster; here one host runs already\n", other)
	}
	for _, app := range apps {
		found, err := d.awaitAnswer(ctx, app)
		if err != nil {
			return fmt.Errorf("application %s/%s: %w", app.namespace, app.name, err)
		}
		took := time.Since(began).Round(10 * time.Millisecond)
		if found == nil {
			fmt.Fprintf(out, "application %s/%s is ready (after %s); it serves no HTTP\n", app.namespace, app.name, took)
			continue
		}
		fmt.Fprintf(out, "application %s/%s answers (after %s):\n  curl %s\n  %s\n", app.namespace, app.name, took, found.url, strings.TrimSpace(found.body))
	}
	return nil
}

// awaitAnswer is awaitAnswer for an application of this process; a part that fails meanwhile ends it.
func (d *dev) awaitAnswer(ctx context.Context, app applied) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := d.parts.wait(ctx); err != nil {
			cancel(err)
		}
	}()
	found, err := awaitAnswer(ctx, func() *oam.Application {
		known, _ := applications.NewLattice(d.cache, nil, devLattice).Get(app.namespace, app.name)
		return known
	})
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return nil, cause
	}
	return found, err
}

func loopbackAddress(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
