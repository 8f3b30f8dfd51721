package controlplane

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trellis-operator/trellis/internal/certificates"
)

// authentication lets clients of kube-apiserver in by certificates of an authority that tests have at hand: that of
// envtest keeps its key to itself.
type authentication struct {
	authority *certificates.Authority
	file      string
}

var _ envtest.Authn = (*authentication)(nil)

// Configure implements envtest.Authn.
func (a *authentication) Configure(dir string, args *envtest.Arguments) error {
	a.file = filepath.Join(dir, "client-ca.crt")
	args.Set("client-ca-file", a.file)
	return nil
}

// Start implements envtest.Authn.
func (a *authentication) Start() error {
	if a.file == "" {
		return errors.New("authentication is started before it is configured")
	}
	return os.WriteFile(a.file, a.authority.Cert, 0o600)
}

// AddUser implements envtest.Authn.
func (a *authentication) AddUser(user envtest.User, base *rest.Config) (*rest.Config, error) {
	pair, err := a.authority.Client(user.Name, user.Groups, time.Now(), certificateLife)
	if err != nil {
		return nil, err
	}
	config := rest.CopyConfig(base)
	config.CertData, config.KeyData = pair.Cert, pair.Key
	return config, nil
}

// Stop implements envtest.Authn.
func (*authentication) Stop() error { return nil }
