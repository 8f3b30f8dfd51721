package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/internal/exposure"
)

// uninstallOptions are the flags of `trellis uninstall`.
type uninstallOptions struct {
	kubeconfig string
	namespace  string
	deployment string
	timeout    time.Duration
}

func uninstallCommand() *cobra.Command {
	o := uninstallOptions{}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the operator and let go of the Services it holds, before its release is removed; what runs goes on running",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runUninstall(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: that of the pod)")
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the operator")
	flags.StringVar(&o.deployment, "deployment", "trellis", "Deployment of the operator")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long the operator may take to end")
	return cmd
}

func runUninstall(ctx context.Context, o uninstallOptions, out io.Writer) error {
	if o.namespace == "" {
		return errors.New("--namespace is empty and POD_NAMESPACE is not set: name the namespace of the operator")
	}
	config, err := clusterConfig(o.kubeconfig)
	if err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	services, err := client.New(config, client.Options{})
	if err != nil {
		return fmt.Errorf("make a client of the cluster: %w", err)
	}
	// One that still runs would take hold of the Services again.
	if err := stopOperator(ctx, kube, o); err != nil {
		return err
	}
	released, err := exposure.ReleaseAll(ctx, services)
	if err != nil {
		return fmt.Errorf("let go of the Services: %w", err)
	}
	fmt.Fprintf(out, "the operator has ended; Services let go: %d\n", released)
	return nil
}

// stopOperator scales the operator down and waits until its last pod is gone. That it is not there is as good.
func stopOperator(ctx context.Context, kube kubernetes.Interface, o uninstallOptions) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"replicas": 0}})
	if err != nil {
		return fmt.Errorf("encode the patch of Deployment %s: %w", o.deployment, err)
	}
	deployment, err := kube.AppsV1().Deployments(o.namespace).Patch(ctx, o.deployment, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("scale down Deployment %s/%s: %w", o.namespace, o.deployment, err)
	}
	selector, err := metav1.LabelSelectorAsSelector(deployment.Spec.Selector)
	if err != nil {
		return fmt.Errorf("read the selector of Deployment %s/%s: %w", o.namespace, o.deployment, err)
	}
	left := 0
	err = wait.PollUntilContextTimeout(ctx, 500*time.Millisecond, o.timeout, true, func(ctx context.Context) (bool, error) {
		pods, err := kube.CoreV1().Pods(o.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
		if err != nil {
			return false, fmt.Errorf("list the pods of the operator: %w", err)
		}
		left = len(pods.Items)
		return left == 0, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("%d pods of Deployment %s/%s have not ended after %s; look at them, or remove the release without its hooks and the finalizers of its Services by hand",
			left, o.namespace, o.deployment, o.timeout)
	}
	return err
}
