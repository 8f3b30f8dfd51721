// Package controlplane is a Kubernetes control plane without nodes, with Trellis in it: etcd, kube-apiserver and
// kube-controller-manager, the real `trellis serve` behind the aggregation layer, NATS, an OCI registry, and trellis-hosts
// as processes. What it starts listens on well-known ports of loopback, so it wants a network namespace of its own, and
// it belongs to the first process of a process namespace, which takes everything along.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trellis-operator/trellis/internal/certificates"
)

const (
	// System is the namespace of Trellis.
	System = "trellis-system"
	// Lattice is the only lattice.
	Lattice = "default"
	// API is where trellis serves the Application API itself.
	API = "127.0.0.1:443"
	// AuditLog is the file of trellis's audit log, written by the chart's own policy.
	AuditLog = "audit.log"
	// KubeAuditLog is the file of kube-apiserver's audit log.
	KubeAuditLog = "kube-audit.log"
	// User is whom kube-apiserver takes trellis for.
	User = "system:serviceaccount:" + System + ":trellis"

	trellisName     = "trellis"
	registryAddress = "127.0.0.1:5001"
	mirrored        = "ghcr.io/trellis-operator"
	mirror          = registryAddress + "/trellis-operator"
	mirrors         = mirrored + "=" + mirror
	startTimeout    = 3 * time.Minute
	interval        = 200 * time.Millisecond
)

// Options name the programs that run.
type Options struct {
	// Kubernetes is the folder of etcd, kube-apiserver and kube-controller-manager.
	Kubernetes string
	// Helm renders the roles of the chart.
	Helm string
	// Chart is the folder of the chart.
	Chart string
	// Bin is the folder of trellis and trellis-host.
	Bin string
	// Dir keeps state and logs.
	Dir string
	// Bound are the namespaces that belong to the lattice, the first of them the one that wash creates in. Default: all,
	// and namespace default.
	Bound []string
	// Audit makes kube-apiserver write down every write, and with Secrets how those are read, in KubeAuditLog below Dir.
	Audit bool
	// Secrets makes trellis serve secrets.
	Secrets bool
	// History is how long kube-apiserver keeps superseded versions. Default: its own, 5 minutes.
	History time.Duration
}

// Plane is a running control plane.
type Plane struct {
	// Config is that of the administrator.
	Config *rest.Config
	// Kubeconfig is a file with the same.
	Kubeconfig string
	// NATS is the address of the lattice, without credentials.
	NATS string
	// Clients signs the certificates of clients, FrontProxy those of kube-apiserver as a proxy.
	Clients, FrontProxy *certificates.Authority

	options Options
	kube    kubernetes.Interface
	stops   []func() error
	started map[string]int // process ids by name
}

// Start returns when the Application API answers. In case of an error it has taken away what it had started.
func Start(ctx context.Context, o Options) (p *Plane, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if len(o.Bound) == 0 {
		o.Bound = []string{"*"}
	}
	p = &Plane{options: o, started: map[string]int{}}
	for _, step := range []func(context.Context) error{
		p.startKubernetes, p.startControllers, p.startNATS, p.startRegistry, p.prepareTrellis, p.startTrellis,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, p.Stop())
		}
	}
	return p, nil
}

// TrellisPID is the process of trellis.
func (p *Plane) TrellisPID() int { return p.started[trellisName] }

// Stop ends everything in the reverse order.
func (p *Plane) Stop() error {
	var failures []error
	for i := len(p.stops) - 1; i >= 0; i-- {
		failures = append(failures, p.stops[i]())
	}
	p.stops = nil
	return errors.Join(failures...)
}

// startKubernetes starts etcd and kube-apiserver, with aggregation.
func (p *Plane) startKubernetes(ctx context.Context) error {
	env := &envtest.Environment{BinaryAssetsDirectory: p.options.Kubernetes, ControlPlaneStartTimeout: time.Minute, ControlPlaneStopTimeout: 30 * time.Second}
	if err := p.configureServer(env.ControlPlane.GetAPIServer()); err != nil {
		return err
	}
	config, err := env.Start()
	if err != nil {
		return fmt.Errorf("start etcd and kube-apiserver: %w", err)
	}
	p.stops = append(p.stops, env.Stop)
	p.Config, p.Kubeconfig = config, filepath.Join(p.options.Dir, "admin.kubeconfig")
	if err := os.WriteFile(p.Kubeconfig, env.KubeConfig, 0o600); err != nil {
		return err
	}
	p.kube, err = kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return p.until(ctx, "namespace kube-system is there", func(ctx context.Context) error {
		_, err := p.kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		return err
	})
}

// startControllers runs those controllers that work without nodes.
func (p *Plane) startControllers(context.Context) error {
	return p.run("kube-controller-manager", filepath.Join(p.options.Kubernetes, "kube-controller-manager"), nil,
		"--kubeconfig="+p.Kubeconfig, "--leader-elect=false", "--secure-port=0", "--kube-api-qps=200", "--kube-api-burst=400",
		"--controllers=namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller,resourcequota-controller")
}

// startTrellis runs `trellis serve` with the rights of its chart's service account, and waits until kube-apiserver finds
// its API.
func (p *Plane) startTrellis(ctx context.Context) error {
	args := []string{"serve", "--config=" + filepath.Join(p.options.Dir, configFile), "--kubeconfig=" + filepath.Join(p.options.Dir, trellisKubeconfig),
		"--namespace=" + System, "--identity=trellis-0", "--service=trellis", "--owner-cluster-role=trellis",
		"--audit-log-path=" + filepath.Join(p.options.Dir, AuditLog), "--audit-policy-file=" + filepath.Join(p.options.Dir, auditPolicy)}
	if err := p.run(trellisName, filepath.Join(p.options.Bin, "trellis"), nil, args...); err != nil {
		return err
	}
	return p.until(ctx, "the Application API answers", func(ctx context.Context) error {
		return p.kube.CoreV1().RESTClient().Get().AbsPath("/apis/core.oam.dev/v1beta1/applications").Do(ctx).Error()
	})
}

// until asks until the answer is no error.
func (p *Plane) until(ctx context.Context, what string, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w; logs are in %s", what, err, p.options.Dir)
		case <-time.After(interval):
		}
	}
}
