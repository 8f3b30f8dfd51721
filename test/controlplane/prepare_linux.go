package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trellis-operator/trellis/internal/certificates"
)

const (
	natsPort = 4222
	// apiPort is the one that trellis registers: a Service of a name has no way to another.
	apiPort = 443

	configFile        = "config.yaml"
	auditPolicy       = "audit-policy.yaml"
	trellisKubeconfig = "trellis.kubeconfig"
	certificateLife   = 24 * time.Hour
	frontProxyName    = "front-proxy-client"
)

// configuration is what the chart's ConfigMap would say.
func (p *Plane) configuration() string {
	home := "default"
	if p.options.Bound[0] != "*" {
		home = p.options.Bound[0]
	}
	text := fmt.Sprintf(`
apiVersion: trellis.k8s.wasmcloud.dev/v1alpha1
nats: {address: "nats://127.0.0.1", clientPort: %d, domain: default}
bindings: [{lattice: %s, namespaces: ["%s"], home: %s}]
lattices: [{name: %[2]s}]
api: {port: %[5]d}
hosts:
  helperImage: "ghcr.io/trellis-operator/trellis:0.1.0"
`, natsPort, Lattice, strings.Join(p.options.Bound, `", "`), home, apiPort)
	if !p.options.Secrets {
		return text
	}
	// Trellis pulls as the hosts of groups do.
	return text + fmt.Sprintf("  mirrors: [{prefix: %q, target: %q, insecure: true}]\nsecrets: {enabled: true}\n", mirrored, mirror)
}

// configureServer gives kube-apiserver the certificate that aggregated API servers know it by, and the authority of its
// clients.
func (p *Plane) configureServer(server *envtest.APIServer) (err error) {
	if p.FrontProxy, err = certificates.NewAuthority("front-proxy-ca", time.Now(), certificateLife); err != nil {
		return err
	}
	if p.Clients, err = certificates.NewAuthority("client-ca", time.Now(), certificateLife); err != nil {
		return err
	}
	pair, err := p.FrontProxy.Client(frontProxyName, nil, time.Now(), certificateLife)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"front-proxy-ca.crt": p.FrontProxy.Cert, "front-proxy.crt": pair.Cert, "front-proxy.key": pair.Key} {
		if err := os.WriteFile(filepath.Join(p.options.Dir, name), content, 0o600); err != nil {
			return err
		}
	}
	server.SecureServing.Authn = &authentication{authority: p.Clients}
	server.Configure().
		Set("requestheader-client-ca-file", filepath.Join(p.options.Dir, "front-proxy-ca.crt")).
		Set("requestheader-allowed-names", frontProxyName).
		Set("requestheader-username-headers", "X-Remote-User").
		Set("requestheader-group-headers", "X-Remote-Group").
		Set("requestheader-extra-headers-prefix", "X-Remote-Extra-").
		Set("proxy-client-cert-file", filepath.Join(p.options.Dir, "front-proxy.crt")).
		Set("proxy-client-key-file", filepath.Join(p.options.Dir, "front-proxy.key")).
		// There is no other device than loopback, and nobody asks for the Service `kubernetes`.
		Set("advertise-address", "127.0.0.1").Set("endpoint-reconciler-type", "none").
		// envtest's own network has 254 addresses for Services.
		Set("service-cluster-ip-range", "10.96.0.0/16")
	if p.options.History > 0 {
		server.Configure().Set("etcd-compaction-interval", p.options.History.String())
	}
	if p.options.Audit {
		if err := p.auditWrites(server); err != nil {
			return err
		}
	}
	log, err := os.Create(filepath.Join(p.options.Dir, "kube-apiserver.log"))
	if err != nil {
		return err
	}
	p.stops = append(p.stops, log.Close)
	server.Out, server.Err = log, log
	return nil
}

// writesPolicy has one line for each write, after it; readsPolicy one for each time that Secrets are read, and one more for
// a watch when it begins: it may not have ended when the log is read.
const (
	writesPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, verbs: [create, update, patch, delete, deletecollection]}
`
	readsPolicy = `- {level: Metadata, verbs: [get, list, watch], resources: [{group: "", resources: [secrets]}]}
`
	nothingElse = "- {level: None}\n"
)

func (p *Plane) auditWrites(server *envtest.APIServer) error {
	text := writesPolicy + nothingElse
	if p.options.Secrets {
		text = writesPolicy + readsPolicy + nothingElse
	}
	policy := filepath.Join(p.options.Dir, "kube-audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		return err
	}
	server.Configure().Set("audit-policy-file", policy).Set("audit-log-path", filepath.Join(p.options.Dir, KubeAuditLog))
	return nil
}

// prepareTrellis makes what the chart makes: namespace, roles, Service, configuration.
func (p *Plane) prepareTrellis(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: System}}
	if _, err := p.kube.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); created(err) != nil {
		return fmt.Errorf("make namespace %s: %w", System, err)
	}
	if _, err := p.kube.CoreV1().Services(System).Create(ctx, service(), metav1.CreateOptions{}); created(err) != nil {
		return fmt.Errorf("make the Service of Trellis: %w", err)
	}
	if err := p.applyRoles(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.options.Dir, configFile), []byte(p.configuration()), 0o600); err != nil {
		return err
	}
	return p.writeTrellisKubeconfig()
}

// applyRoles applies the part of the chart that says who may do what, and keeps that which says what is written down.
func (p *Plane) applyRoles(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, p.options.Helm, "template", "trellis", p.options.Chart, "--namespace", System, fmt.Sprintf("--set=secrets.enabled=%t", p.options.Secrets))
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+p.options.Dir, "HELM_CONFIG_HOME="+p.options.Dir, "HELM_DATA_HOME="+p.options.Dir)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("render the chart: %w", err)
	}
	c, err := client.New(p.Config, client.Options{})
	if err != nil {
		return err
	}
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what the chart renders: %w", err)
		}
		if policy, ok, _ := unstructured.NestedString(object.Object, "data", auditPolicy); ok {
			if err := os.WriteFile(filepath.Join(p.options.Dir, auditPolicy), []byte(policy), 0o600); err != nil {
				return err
			}
		}
		if group := object.GroupVersionKind().Group; group != "rbac.authorization.k8s.io" && object.GetKind() != "ServiceAccount" {
			continue
		}
		if err := created(c.Create(ctx, &object)); err != nil {
			return fmt.Errorf("apply %s %s of the chart: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

// writeTrellisKubeconfig lets trellis act as its service account, by impersonation: without kubelets nobody needs tokens.
func (p *Plane) writeTrellisKubeconfig() error {
	file, err := clientcmd.LoadFromFile(p.Kubeconfig)
	if err != nil {
		return err
	}
	for _, user := range file.AuthInfos {
		impersonate(user)
	}
	return clientcmd.WriteToFile(*file, filepath.Join(p.options.Dir, trellisKubeconfig))
}

func impersonate(user *clientcmdapi.AuthInfo) {
	user.Impersonate = User
	user.ImpersonateGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + System, "system:authenticated"}
}

// created makes already existing things fine.
func created(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// service is how kube-apiserver finds trellis, which is no pod: by a name, on this machine.
func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "trellis"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost",
			Ports: []corev1.ServicePort{{Name: "https", Port: apiPort}}},
	}
}
