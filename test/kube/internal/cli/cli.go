// Package cli is the command line: it chooses the cluster and runs one command
// on it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/trellis-operator/trellis/test/kube/internal/image"
	"github.com/trellis-operator/trellis/test/kube/internal/progress"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// cluster is one that the harness makes, or one that is there.
type cluster interface {
	Up(ctx context.Context) error
	Down(ctx context.Context) error
	Status(ctx context.Context, out io.Writer) error
	Kubeconfig() string
	// Registry is where components are pushed to, and pulled from by hosts.
	Registry() string
	// Insecure says whether it speaks plain HTTP.
	Insecure() bool
	// ImageRef is the name under which the cluster finds an image.
	ImageRef(ref string) string
	LoadImages(ctx context.Context, specs []image.Spec) error
}

// env is what a command works with.
type env struct {
	cluster cluster
	cache   *tools.Cache
	report  *progress.Printer
	out     io.Writer
}

type command struct {
	name, args, help string
	run              func(context.Context, *env, []string) error
}

func commands() []command {
	return []command{
		{"build", "[TOOL…]", "build the programs of the cluster, or the named ones, into the cache", build},
		{"up", "", "make the cluster, or what is missing of it", up},
		{"down", "", "remove the cluster with everything it made", down},
		{"status", "", "say what runs", status},
		{"env", "", "print shell lines that point programs to the cluster", printEnv},
		{"load-images", "--trellis FILE --helper FILE --host FILE [--tag TAG]", "build the project's images and give them to the cluster", loadImages},
		{"load-program", "REF FILE", "build the image of a static program and give it to the cluster", loadProgram},
		{"push-component", "REF FILE", "push a WebAssembly component to the cluster's registry", pushComponent},
		{"kubectl", "…", "run kubectl on the cluster", kubectl},
		{"helm", "…", "run Helm on the cluster", helm},
		{"path", "TOOL", "print the folder of a tool's programs, building them if needed", path},
		{"node-exec", "[--node N] PROGRAM …", "run a program of this machine inside a node", nodeExec},
	}
}

// Main runs one command and returns the exit code.
func Main(ctx context.Context, args []string) int {
	known := commands()
	index := -1
	if len(args) > 0 {
		index = slices.IndexFunc(known, func(c command) bool { return c.name == args[0] })
	}
	if index < 0 {
		usage(os.Stderr, known)
		return 2
	}
	report := progress.New(os.Stderr, time.Now)
	e, err := newEnv(ctx, report)
	if err == nil {
		err = known[index].run(ctx, e, args[1:])
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && errors.Is(err, errPassed):
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "kube:", err)
	return 1
}

func usage(out io.Writer, known []command) {
	fmt.Fprintln(out, "kube makes a real Kubernetes cluster on this machine. Commands:")
	for _, c := range known {
		fmt.Fprintf(out, "  %s\n        %s\n", c.name+" "+c.args, c.help)
	}
	fmt.Fprintln(out, "Environment: NODES=1 (nodes of the cluster); CLUSTER=existing with KUBECONFIG and IMAGE_REGISTRY uses a cluster that is there.")
}
