package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/trellis-operator/trellis/internal/certificates"
)

const (
	administrator = "bench"
	masters       = "system:masters"
	frontProxy    = "front-proxy-client"
	certLife      = 24 * time.Hour
)

// Kube is a kube-apiserver with an etcd of its own that syncs what it writes. Nothing else of Kubernetes runs.
type Kube struct {
	Config     *rest.Config
	Kubeconfig string

	dir, assets  string
	etcd, server *process
	args         []string
}

// Assets is the folder of kube-apiserver and etcd: that of KUBEBUILDER_ASSETS, or of the local cluster's tools.
func Assets() (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache: %w", err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "trellis", "kube", "kubernetes-*", "kube-apiserver"))
	if len(found) == 0 {
		return "", errors.New("there is no kube-apiserver; `make bench` builds one, KUBEBUILDER_ASSETS names another")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// Helm is the program helm: that of TRELLIS_HELM, or of the local cluster's tools.
func Helm() (string, error) {
	if helm := os.Getenv("TRELLIS_HELM"); helm != "" {
		return helm, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache: %w", err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "trellis", "kube", "helm-*", "helm"))
	if len(found) == 0 {
		return "", errors.New("there is no helm; `make bench` builds one, TRELLIS_HELM names another")
	}
	return found[len(found)-1], nil
}

// StartKube starts etcd and kube-apiserver.
func StartKube(ctx context.Context, dir string) (*Kube, error) {
	assets, err := Assets()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	k := &Kube{dir: dir, assets: assets}
	client, peer := loopbackURL("http", ports[0]), loopbackURL("http", ports[1])
	k.etcd, err = start("etcd", filepath.Join(dir, "etcd.log"), filepath.Join(assets, "etcd"), "--data-dir="+filepath.Join(dir, "etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer, "--log-level=warn")
	if err != nil {
		return nil, err
	}
	if err := k.etcd.await(ctx, answers(http.DefaultClient, client+"/health")); err != nil {
		return nil, errors.Join(err, k.close())
	}
	if err := k.prepare(client, ports[2]); err != nil {
		return nil, errors.Join(err, k.close())
	}
	if err := k.Start(ctx); err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

// prepare writes the certificates and the kubeconfig, and completes the arguments.
func (k *Kube) prepare(etcd string, port int) error {
	now := time.Now()
	ca, err := certificates.NewAuthority("bench-ca", now, certLife)
	if err != nil {
		return err
	}
	proxyCA, err := certificates.NewAuthority("bench-front-proxy-ca", now, certLife)
	if err != nil {
		return err
	}
	serving, err := ca.Serving([]string{"127.0.0.1", "localhost"}, now, certLife)
	if err != nil {
		return err
	}
	admin, err := ca.Client(administrator, []string{masters}, now, certLife)
	if err != nil {
		return err
	}
	proxy, err := proxyCA.Client(frontProxy, nil, now, certLife)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca.crt": ca.Cert, "serving.crt": serving.Cert, "serving.key": serving.Key,
		"proxy-ca.crt": proxyCA.Cert, "proxy.crt": proxy.Cert, "proxy.key": proxy.Key,
	} {
		if err := os.WriteFile(k.file(name), content, 0o600); err != nil {
			return fmt.Errorf("write the certificates of kube-apiserver: %w", err)
		}
	}
	k.Config = &rest.Config{Host: loopbackURL("https", port), QPS: -1, TLSClientConfig: rest.TLSClientConfig{
		CAData: ca.Cert, CertData: admin.Cert, KeyData: admin.Key,
	}}
	k.args = k.arguments(etcd, port)
	return k.writeKubeconfig()
}

func (k *Kube) arguments(etcd string, port int) []string {
	return []string{
		"--etcd-servers=" + etcd, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		// An address of documentation: nobody is told where this server is.
		"--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.255.0.0/24",
		"--tls-cert-file=" + k.file("serving.crt"), "--tls-private-key-file=" + k.file("serving.key"),
		"--client-ca-file=" + k.file("ca.crt"), "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + k.file("serving.crt"),
		"--service-account-signing-key-file=" + k.file("serving.key"),
		"--requestheader-client-ca-file=" + k.file("proxy-ca.crt"), "--requestheader-allowed-names=" + frontProxy,
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + k.file("proxy.crt"), "--proxy-client-key-file=" + k.file("proxy.key"),
	}
}

func (k *Kube) writeKubeconfig() error {
	config := clientcmdapi.NewConfig()
	config.Clusters["bench"] = &clientcmdapi.Cluster{Server: k.Config.Host, CertificateAuthorityData: k.Config.CAData}
	config.AuthInfos["bench"] = &clientcmdapi.AuthInfo{ClientCertificateData: k.Config.CertData, ClientKeyData: k.Config.KeyData}
	config.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench", AuthInfo: "bench"}
	config.CurrentContext = "bench"
	k.Kubeconfig = k.file("kubeconfig")
	if err := clientcmd.WriteToFile(*config, k.Kubeconfig); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}

func (k *Kube) file(name string) string { return filepath.Join(k.dir, name) }

// Start starts kube-apiserver and waits until it is ready.
func (k *Kube) Start(ctx context.Context) (err error) {
	argv := append([]string{filepath.Join(k.assets, "kube-apiserver")}, k.args...)
	if k.server, err = start("kube-apiserver", k.file("kube-apiserver.log"), argv...); err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(k.Config)
	if err != nil {
		return fmt.Errorf("make a client of kube-apiserver: %w", err)
	}
	defer client.CloseIdleConnections()
	return k.server.await(ctx, answers(client, k.Config.Host+"/readyz"))
}

// StopServer ends kube-apiserver; etcd goes on.
func (k *Kube) StopServer() { k.server.stop() }

// Memory is the resident memory of kube-apiserver in bytes.
func (k *Kube) Memory() int64 { return Usage{k.server.cmd.Process.Pid}.Memory() }

// Stop ends both.
func (k *Kube) Stop() { _ = k.close() }

func (k *Kube) close() error {
	k.server.stop()
	k.etcd.stop()
	return nil
}

func loopbackURL(scheme string, port int) string {
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port)
}

// answers is ready when a URL answers 200.
func answers(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
