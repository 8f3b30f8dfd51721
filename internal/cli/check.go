package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/config"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natskeys"
	"github.com/trellis-operator/trellis/internal/storemark"
)

const checkInterval = 500 * time.Millisecond

// checkOptions are the flags of `trellis check`.
type checkOptions struct {
	configFile string
	kubeconfig string
	namespace  string
	wait       bool
	orphans    bool
	timeout    time.Duration
}

func checkCommand() *cobra.Command {
	o := checkOptions{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether an installation works, and what to do where it does not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCheck(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.configFile, "config", "/etc/trellis/config.yaml", "configuration file; empty: NATS is not looked at")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: that of the pod)")
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the operator, for the advice that failures give")
	flags.BoolVar(&o.wait, "wait", false, "try again until all is well")
	flags.BoolVar(&o.orphans, "orphans", false, "list what runs in lattices for applications that nobody knows, and do nothing else")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait for each thing that is looked at")
	return cmd
}

// finding is one thing that is looked at.
type finding struct {
	what  string
	check func(context.Context) error
}

func runCheck(ctx context.Context, o checkOptions, out io.Writer) error {
	cluster, err := clusterConfig(o.kubeconfig)
	if err != nil {
		return err
	}
	var settings *config.Config
	if o.configFile != "" {
		if settings, err = config.Load(o.configFile); err != nil {
			return err
		}
	}
	if o.orphans {
		if settings == nil {
			return errors.New("--orphans asks the hosts of lattices: name the configuration file with --config")
		}
		return (&orphanCheck{cluster: cluster, settings: settings, out: out}).run(ctx)
	}
	findings := []finding{
		{"the APIService of applications is available", func(ctx context.Context) error { return checkAPIService(ctx, cluster) }},
		{"a list of applications answers", func(ctx context.Context) error { return checkList(ctx, cluster) }},
	}
	if o.namespace != "" {
		findings = append(findings, finding{"the store is the one that was served", func(ctx context.Context) error { return checkMark(ctx, o) }})
	}
	if settings != nil {
		findings = append(findings, finding{"NATS stores and returns", func(ctx context.Context) error { return checkNATS(ctx, settings.NATS) }})
	}
	limit := o.timeout
	if !o.wait {
		limit = 0
	}
	var failures []error
	for _, f := range findings {
		if err := tryFor(ctx, limit, f.check); err != nil {
			fmt.Fprintf(out, "FAILED  %s: %v\n", f.what, err)
			failures = append(failures, errors.New(f.what+": no"))
			continue
		}
		fmt.Fprintf(out, "ok      %s\n", f.what)
	}
	if settings != nil {
		noteLattices(ctx, out, settings)
	}
	if len(failures) > 0 {
		failures = append(failures, fmt.Errorf("`kubectl logs -n %s -l app.kubernetes.io/component=operator` may say why", o.namespace))
	}
	return errors.Join(failures...)
}

// tryFor calls check until it succeeds or the time is over, at least once; the last error is the answer.
func tryFor(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	last := check(ctx)
	if last == nil || limit <= 0 {
		return last
	}
	err := wait.PollUntilContextTimeout(ctx, checkInterval, limit, false, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		return last
	}
	return nil
}

func checkAPIService(ctx context.Context, cluster *rest.Config) error {
	client, err := aggregator.NewForConfig(cluster)
	if err != nil {
		return err
	}
	name := oam.Version + "." + oam.GroupName
	service, err := client.ApiregistrationV1().APIServices().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("%w; does a pod of the operator run?", err)
	}
	for _, c := range service.Status.Conditions {
		if c.Type != apiregistration.Available {
			continue
		}
		if c.Status == apiregistration.ConditionTrue {
			return nil
		}
		return fmt.Errorf("%s: %s", c.Reason, c.Message)
	}
	return errors.New("kube-apiserver has not looked at it yet")
}

func checkList(ctx context.Context, cluster *rest.Config) error {
	client, err := applications.NewClient(cluster)
	if err != nil {
		return err
	}
	_, err = client.In(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: 1})
	return err
}

// checkMark says why nothing is served, if that is so, and what there is to accept.
func checkMark(ctx context.Context, o checkOptions) error {
	kube, err := kubeClient(o.kubeconfig)
	if err != nil {
		return err
	}
	record, _, err := (&storemark.ConfigMap{Client: kube.CoreV1().ConfigMaps(o.namespace)}).Load(ctx)
	if errors.Is(err, storemark.ErrNone) {
		return nil // the first start is not over
	}
	return errors.Join(err, markProblem(record))
}

func markProblem(r storemark.Record) error {
	if r.Problem == "" {
		return nil
	}
	return fmt.Errorf("%s (served before: %s; there is now: %s)", r.Problem, r.Served, r.Found)
}

// checkNATS writes a message into a stream of its own and reads it back, as the store's account.
func checkNATS(ctx context.Context, settings config.NATS) error {
	c := natsconn.Config{URLs: []string{settings.ClientURL()}, Name: "trellis-check"}
	if settings.CredentialsDir != "" {
		c.CredsFile = filepath.Join(settings.CredentialsDir, natskeys.CredentialsFile(natskeys.AccountStore))
	}
	conn, err := natsconn.Connect(ctx, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.NewWithDomain(conn, settings.Domain)
	if err != nil {
		return err
	}
	const bucket = "TRELLIS_CHECK"
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, Description: "written by trellis check"})
	if err != nil {
		return fmt.Errorf("make a bucket: %w", err)
	}
	defer func() { _ = js.DeleteKeyValue(context.WithoutCancel(ctx), bucket) }() // left behind, it holds a few bytes
	revision, err := kv.Put(ctx, "check", []byte(time.Now().UTC().Format(time.RFC3339)))
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	entry, err := kv.Get(ctx, "check")
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if entry.Revision() < revision {
		return fmt.Errorf("read back revision %d after writing %d", entry.Revision(), revision)
	}
	return nil
}
