package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/trellis-operator/trellis/test/kube/internal/image"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

// errPassed marks the failure of a program that has told the user itself.
var errPassed = errors.New("the program failed")

func build(ctx context.Context, e *env, names []string) error {
	list := tools.All()
	if len(names) > 0 {
		list = nil
		for _, name := range names {
			tool, known := tools.ByName(name)
			if !known {
				return fmt.Errorf("there is no tool named %q", name)
			}
			list = append(list, tool)
		}
	}
	for _, tool := range list {
		if _, err := e.cache.Path(ctx, tool, e.report); err != nil {
			return err
		}
	}
	return nil
}

func up(ctx context.Context, e *env, _ []string) error {
	if err := e.cluster.Up(ctx); err != nil {
		return err
	}
	return printEnv(ctx, e, nil)
}

func down(ctx context.Context, e *env, _ []string) error { return e.cluster.Down(ctx) }

func status(ctx context.Context, e *env, _ []string) error { return e.cluster.Status(ctx, e.out) }

func printEnv(_ context.Context, e *env, _ []string) error {
	fmt.Fprintf(e.out, "export KUBECONFIG=%s\nexport COMPONENT_REGISTRY=%s\nexport COMPONENT_REGISTRY_INSECURE=%t\n",
		e.cluster.Kubeconfig(), e.cluster.Registry(), e.cluster.Insecure())
	return nil
}

func loadImages(ctx context.Context, e *env, args []string) error {
	flags := flag.NewFlagSet("load-images", flag.ContinueOnError)
	trellis := flags.String("trellis", "", "the trellis program, static")
	helper := flags.String("helper", "", "the trellis-helper program, static, for the same image")
	host := flags.String("host", "", "the trellis-host program")
	tag := flags.String("tag", "", "tag of both images; without it, one made from the programs' content")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *trellis == "" && *host == "" {
		return errors.New("say which programs to make images of: --trellis FILE, --helper FILE, --host FILE")
	}
	if *tag == "" {
		var err error
		if *tag, err = image.Tag(*trellis, *helper, *host); err != nil {
			return err
		}
	}
	specs, err := withAbsolutePaths(image.Project(*tag, *trellis, *helper, *host))
	if err != nil {
		return err
	}
	if err := e.report.Step("images "+*tag+" loaded", func() error { return e.cluster.LoadImages(ctx, specs) }); err != nil {
		return err
	}
	for _, line := range []struct{ name, value string }{
		{"IMAGE_TAG", *tag},
		{"TRELLIS_IMAGE", e.cluster.ImageRef(image.Trellis + ":" + *tag)},
		{"HOST_IMAGE", e.cluster.ImageRef(image.Host + ":" + *tag)},
		{"NATS_IMAGE", e.cluster.ImageRef(image.NATS)},
	} {
		fmt.Fprintf(e.out, "%s=%s\n", line.name, line.value)
	}
	return nil
}

// loadProgram makes an image of a program of somebody else.
func loadProgram(ctx context.Context, e *env, args []string) error {
	if len(args) != 2 {
		return errors.New("load-program takes a reference, as ghcr.io/acme/thing:1, and a static program")
	}
	specs, err := withAbsolutePaths([]image.Spec{image.Program(args[0], args[1])})
	if err != nil {
		return err
	}
	if err := e.report.Step("image "+args[0]+" loaded", func() error { return e.cluster.LoadImages(ctx, specs) }); err != nil {
		return err
	}
	fmt.Fprintln(e.out, e.cluster.ImageRef(args[0]))
	return nil
}

func withAbsolutePaths(specs []image.Spec) ([]image.Spec, error) {
	for _, spec := range specs {
		for at, file := range spec.Programs {
			absolute, err := filepath.Abs(file)
			if err != nil {
				return nil, err
			}
			spec.Programs[at] = absolute
		}
	}
	return specs, nil
}

// pushComponent pushes to the cluster's registry whatever registry the
// reference names: hosts are told by mirrors to look there.
func pushComponent(ctx context.Context, e *env, args []string) error {
	if len(args) != 2 {
		return errors.New("push-component takes a reference, as ghcr.io/trellis-operator/hello:0.1.0, and a file")
	}
	component, err := image.NewComponent(args[1])
	if err != nil {
		return err
	}
	ref := e.cluster.Registry() + "/" + repository(args[0])
	if err := e.report.Step("pushed "+ref, func() error { return image.PushComponent(ctx, ref, component) }); err != nil {
		return err
	}
	fmt.Fprintln(e.out, ref)
	return nil
}

// repository is a reference without its registry, if it names one.
func repository(ref string) string {
	first, rest, slash := strings.Cut(ref, "/")
	if slash && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return rest
	}
	return ref
}

func kubectl(ctx context.Context, e *env, args []string) error {
	return e.onCluster(ctx, tools.Kubernetes, "kubectl", args)
}

func helm(ctx context.Context, e *env, args []string) error {
	return e.onCluster(ctx, tools.Helm, "helm", args)
}

func path(ctx context.Context, e *env, args []string) error {
	if len(args) != 1 {
		return errors.New("path takes the name of one tool")
	}
	tool, known := tools.ByName(args[0])
	if !known {
		return fmt.Errorf("there is no tool named %q", args[0])
	}
	folder, err := e.cache.Path(ctx, tool, e.report)
	if err == nil {
		fmt.Fprintln(e.out, folder)
	}
	return err
}

func (e *env) onCluster(ctx context.Context, name, program string, args []string) error {
	tool, _ := tools.ByName(name)
	folder, err := e.cache.Path(ctx, tool, e.report)
	if err != nil {
		return err
	}
	return pass(ctx, filepath.Join(folder, program), args, []string{"KUBECONFIG=" + e.cluster.Kubeconfig()})
}

// pass runs a program as if the user had: its input, output and exit code are
// the caller's.
func pass(ctx context.Context, program string, args, variables []string) error {
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), variables...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	// Not killed but told: it may have something to tidy up.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.Join(errPassed, err)
	}
	return err
}
