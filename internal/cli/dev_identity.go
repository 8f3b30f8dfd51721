package cli

import (
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/trellis-operator/trellis/internal/certificates"
)

// devLife is how long the certificates of one `trellis dev` hold; each start makes new ones.
const devLife = 365 * 24 * time.Hour

// devIdentity is who the Application API of dev is, and the one client that it knows.
type devIdentity struct {
	serving    dynamiccertificates.CertKeyContentProvider
	clientCA   dynamiccertificates.CAContentProvider
	config     *rest.Config
	kubeconfig string
}

// identity makes an authority with certificates for the server at address and for its administrator, and writes the
// administrator's kubeconfig.
func (d *dev) identity(address string) (*devIdentity, error) {
	now := time.Now()
	authority, err := certificates.NewAuthority("trellis-dev", now, devLife)
	if err != nil {
		return nil, err
	}
	server, err := authority.Serving([]string{"localhost", "127.0.0.1", "::1"}, now, devLife)
	if err != nil {
		return nil, err
	}
	admin, err := authority.Client("trellis-dev", []string{"system:masters"}, now, devLife)
	if err != nil {
		return nil, err
	}
	id := &devIdentity{kubeconfig: d.state.path("kubeconfig")}
	if id.serving, err = dynamiccertificates.NewStaticCertKeyContent("serving", server.Cert, server.Key); err != nil {
		return nil, fmt.Errorf("load the serving certificate: %w", err)
	}
	if id.clientCA, err = dynamiccertificates.NewStaticCAContent("client-ca", authority.Cert); err != nil {
		return nil, fmt.Errorf("load the client authority: %w", err)
	}
	kubeconfig := kubeconfigOf("https://"+address, authority.Cert, admin)
	if err := clientcmd.WriteToFile(kubeconfig, id.kubeconfig); err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	if id.config, err = clientcmd.NewDefaultClientConfig(kubeconfig, nil).ClientConfig(); err != nil {
		return nil, fmt.Errorf("read the kubeconfig back: %w", err)
	}
	return id, nil
}

func kubeconfigOf(server string, ca []byte, admin certificates.Pair) clientcmdapi.Config {
	const name = "trellis-dev"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: admin.Cert, ClientKeyData: admin.Key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: "default"}
	config.CurrentContext = name
	return *config
}
