//go:build linux

package local

import (
	"github.com/trellis-operator/trellis/test/kube/internal/certs"
	"github.com/trellis-operator/trellis/test/kube/internal/kubeapi"
	"github.com/trellis-operator/trellis/test/kube/internal/network"
)

// Names of the authorities. etcd and the front proxy have their own: whoever
// holds a certificate of the cluster must reach neither.
const (
	clusterCA    = "ca"
	etcdCA       = "etcd-ca"
	frontProxyCA = "front-proxy-ca"
)

// identities are the certificates by the authority that signs them. Those
// with a user's name get a kubeconfig too.
func identities(nodes int) map[string]map[string]certs.Request {
	apiHosts := []string{
		"localhost", "127.0.0.1", network.MachineIP, network.KubernetesIP, "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc." + network.ClusterDomain,
	}
	cluster := map[string]certs.Request{
		"kube-apiserver":          {Name: "kube-apiserver", Hosts: apiHosts},
		"kube-apiserver-kubelet":  {Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}, Client: true},
		"admin":                   {Name: "trellis-admin", Groups: []string{"system:masters"}, Client: true},
		"kube-controller-manager": {Name: "system:kube-controller-manager", Client: true, Hosts: []string{network.MachineIP}},
		"kube-scheduler":          {Name: "system:kube-scheduler", Client: true, Hosts: []string{network.MachineIP}},
		"kube-proxy":              {Name: "system:kube-proxy", Client: true},
	}
	for n := 1; n <= nodes; n++ {
		name := network.NodeName(n)
		cluster[name] = certs.Request{
			Name: "system:node:" + name, Groups: []string{"system:nodes"},
			Hosts: []string{name, network.NodeIP(n)}, Client: true,
		}
	}
	return map[string]map[string]certs.Request{
		clusterCA: cluster,
		etcdCA: {
			"etcd":                {Name: "etcd", Hosts: []string{network.MachineIP, "127.0.0.1"}, Client: true},
			"kube-apiserver-etcd": {Name: "kube-apiserver", Client: true},
		},
		frontProxyCA: {"front-proxy": {Name: "front-proxy-client", Client: true}},
	}
}

// ensureCertificates makes what is missing of certificates and kubeconfigs.
func (c *Cluster) ensureCertificates() error {
	for authority, requests := range identities(c.Nodes) {
		ca, err := c.certs.EnsureCA(authority)
		if err != nil {
			return err
		}
		for name, request := range requests {
			pair, err := c.certs.Ensure(name, ca, request)
			if err != nil {
				return err
			}
			if authority != clusterCA || !request.Client {
				continue
			}
			if err := c.writeKubeconfig(name, request.Name, ca, pair); err != nil {
				return err
			}
		}
	}
	// The key pair of service account tokens is an authority of its own only
	// because that is one function less.
	_, err := c.certs.EnsureCA("service-account")
	return err
}

func (c *Cluster) writeKubeconfig(name, user string, ca, pair certs.Pair) error {
	key, err := pair.EncodeKey()
	if err != nil {
		return err
	}
	content, err := kubeapi.Kubeconfig(c.server(), user, ca.EncodeCert(), pair.EncodeCert(), key)
	if err != nil {
		return err
	}
	if name == "admin" {
		return c.Dir.WriteFile(content, 0o600, "kubeconfig")
	}
	return c.Dir.WriteFile(content, 0o600, "pki", name+".kubeconfig")
}
