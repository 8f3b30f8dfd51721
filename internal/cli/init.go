package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/trellis-operator/trellis/internal/natskeys"
)

const initTries = 5

// initOptions are the flags of `trellis init`.
type initOptions struct {
	kubeconfig string
	namespace  string
	prefix     string
	lattices   []string
}

func initCommand() *cobra.Command {
	o := initOptions{}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the keys of the chart's NATS that are missing; keys that exist are kept",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runInit(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.lattices, "lattices", nil, "lattices that get an account each, divided by commas")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: that of the pod)")
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the Secrets")
	flags.StringVar(&o.prefix, "prefix", "trellis-nats", "beginning of the Secrets' names")
	return cmd
}

func runInit(ctx context.Context, o initOptions, out io.Writer) error {
	if o.namespace == "" {
		return errors.New("--namespace is empty and POD_NAMESPACE is not set: name the namespace of the Secrets")
	}
	kube, err := kubeClient(o.kubeconfig)
	if err != nil {
		return err
	}
	for range initTries {
		made, err := natskeys.Ensure(ctx, kube.CoreV1().Secrets(o.namespace), o.prefix, o.lattices, ownLabels())
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			continue // another one was faster: what it made is kept
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "the keys of NATS are complete; made now: %d\n", len(made))
		return nil
	}
	return fmt.Errorf("the Secrets %s-* of namespace %s keep changing; is another `trellis init` running?", o.prefix, o.namespace)
}

// kubeClient is a client of the cluster of a kubeconfig, or of the pod's.
func kubeClient(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clusterConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	return kube, nil
}

func clusterConfig(kubeconfig string) (config *rest.Config, err error) {
	if kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	} else {
		config, err = rest.InClusterConfig()
	}
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w; run in a pod with a service account, or name a kubeconfig with --kubeconfig", err)
	}
	config.UserAgent = "trellis/" + Version
	// client-go would let 5 requests a second pass, and endpoints would come minutes late. Priority and fairness of the API
	// server, and the few workers of each controller, are the limit.
	config.QPS = -1
	return config, nil
}
