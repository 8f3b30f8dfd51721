//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/trellis-operator/trellis/test/kube/internal/network"
	"github.com/trellis-operator/trellis/test/kube/internal/process"
	"github.com/trellis-operator/trellis/test/kube/internal/tools"
)

const (
	etcdURL     = "https://" + network.MachineIP + ":2379"
	etcdPeerURL = "https://" + network.MachineIP + ":2380"
)

// auditPolicy records who did what, once a request: the tests of the chart's
// roles read it.
const auditPolicy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}`

// startAPI starts what is not running of etcd and the API server. Every port
// of the control plane is on the bridge, so nothing of the machine's own is in
// the way, and every one asks for a certificate or a token.
func (c *Cluster) startAPI(ctx context.Context) error {
	if _, err := c.Dir.Make(0o755, "logs"); err != nil {
		return err
	}
	if _, err := c.Dir.Make(0o700, "etcd"); err != nil {
		return err
	}
	if err := c.Dir.WriteFile([]byte(auditPolicy), 0o644, "audit-policy.json"); err != nil {
		return err
	}
	return errors.Join(c.startProgram(ctx, "etcd", c.etcdArgs()), c.startProgram(ctx, "kube-apiserver", c.apiServerArgs()))
}

// startControllers starts the controller manager and the scheduler. They give
// up at once when the API server does not know their roles yet, so they come
// after it is ready.
func (c *Cluster) startControllers(ctx context.Context) error {
	return errors.Join(
		c.startProgram(ctx, "kube-controller-manager", c.controllerArgs()),
		c.startProgram(ctx, "kube-scheduler", c.schedulerArgs()),
	)
}

func (c *Cluster) startProgram(ctx context.Context, name string, args []string) error {
	path, err := c.Tool(ctx, tools.Kubernetes, name)
	if err != nil {
		return err
	}
	_, _, err = process.Ensure(c.Dir, process.Spec{Name: name, Path: path, Args: args, Log: c.log(name)})
	return err
}

func (c *Cluster) etcdArgs() []string {
	return []string{
		"--name=trellis", "--data-dir=" + c.Dir.Path("etcd"),
		"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + etcdPeerURL, "--initial-advertise-peer-urls=" + etcdPeerURL,
		"--initial-cluster=trellis=" + etcdPeerURL,
		"--client-cert-auth", "--peer-client-cert-auth",
		"--cert-file=" + c.certs.CertFile("etcd"), "--key-file=" + c.certs.KeyFile("etcd"),
		"--trusted-ca-file=" + c.certs.CertFile(etcdCA),
		"--peer-cert-file=" + c.certs.CertFile("etcd"), "--peer-key-file=" + c.certs.KeyFile("etcd"),
		"--peer-trusted-ca-file=" + c.certs.CertFile(etcdCA),
		// A cluster that is thrown away need not survive a power cut, only
		// the death of its processes.
		"--unsafe-no-fsync", "--log-level=warn",
	}
}

func (c *Cluster) apiServerArgs() []string {
	return []string{
		"--advertise-address=" + network.MachineIP, "--bind-address=" + network.MachineIP, "--secure-port=6443",
		"--etcd-servers=" + etcdURL, "--etcd-cafile=" + c.certs.CertFile(etcdCA),
		"--etcd-certfile=" + c.certs.CertFile("kube-apiserver-etcd"), "--etcd-keyfile=" + c.certs.KeyFile("kube-apiserver-etcd"),
		"--tls-cert-file=" + c.certs.CertFile("kube-apiserver"), "--tls-private-key-file=" + c.certs.KeyFile("kube-apiserver"),
		"--client-ca-file=" + c.certs.CertFile(clusterCA),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--service-cluster-ip-range=" + network.ServicesCIDR,
		"--service-account-issuer=https://kubernetes.default.svc." + network.ClusterDomain,
		"--service-account-key-file=" + c.certs.CertFile("service-account"),
		"--service-account-signing-key-file=" + c.certs.KeyFile("service-account"),
		"--kubelet-certificate-authority=" + c.certs.CertFile(clusterCA),
		"--kubelet-client-certificate=" + c.certs.CertFile("kube-apiserver-kubelet"),
		"--kubelet-client-key=" + c.certs.KeyFile("kube-apiserver-kubelet"),
		"--kubelet-preferred-address-types=InternalIP",
		// Aggregation: aggregated API servers trust the front proxy, and are
		// called at their pods' addresses, which the machine has routes to.
		"--requestheader-client-ca-file=" + c.certs.CertFile(frontProxyCA), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.certs.CertFile("front-proxy"), "--proxy-client-key-file=" + c.certs.KeyFile("front-proxy"),
		"--enable-aggregator-routing=true",
		"--audit-policy-file=" + c.Dir.Path("audit-policy.json"), "--audit-log-path=" + c.Dir.Path("logs", "audit.log"),
		"--audit-log-maxsize=200", "--audit-log-maxbackup=2",
	}
}

func (c *Cluster) controllerArgs() []string {
	kubeconfig := c.Dir.Path("pki", "kube-controller-manager.kubeconfig")
	return append(c.servingArgs("kube-controller-manager", 10257),
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--leader-elect=false", "--use-service-account-credentials=true",
		// The default of 20 requests a second makes the first start, with a
		// service account a controller, take five seconds more.
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--allocate-node-cidrs=false", "--cluster-cidr="+network.PodsCIDR,
		"--root-ca-file="+c.certs.CertFile(clusterCA),
		"--service-account-private-key-file="+c.certs.KeyFile("service-account"),
		"--cluster-signing-cert-file="+c.certs.CertFile(clusterCA), "--cluster-signing-key-file="+c.certs.KeyFile(clusterCA),
	)
}

func (c *Cluster) schedulerArgs() []string {
	kubeconfig := c.Dir.Path("pki", "kube-scheduler.kubeconfig")
	return append(c.servingArgs("kube-scheduler", 10259),
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--leader-elect=false",
	)
}

func (c *Cluster) servingArgs(name string, port int) []string {
	return []string{
		"--bind-address=" + network.MachineIP, fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + c.certs.CertFile(name), "--tls-private-key-file=" + c.certs.KeyFile(name),
	}
}
