// Package config is the configuration file of `trellis serve`: one YAML document, mounted from a ConfigMap of the chart.
// Unknown fields are errors. What differs between the replicas of one release (names, namespaces) comes by flag or
// environment, never from here.
package config

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// APIVersion is what the file must name. A release reads the version of the release before it as well.
const APIVersion = "trellis.k8s.wasmcloud.dev/v1alpha1"

// Config is the whole file.
type Config struct {
	// APIVersion is trellis.k8s.wasmcloud.dev/v1alpha1.
	APIVersion string `json:"apiVersion"`
	// NATS is where the operator keeps its store and finds the lattices.
	NATS NATS `json:"nats"`
	// Lattices that have an account in that NATS.
	Lattices []Lattice `json:"lattices,omitempty"`
	// Bindings of lattices to namespaces beside those that host groups make.
	Bindings []Binding `json:"bindings,omitempty"`
	// Hosts are defaults of host groups.
	Hosts Hosts `json:"hosts"`
	// Wash says for which lattices wash may work on applications.
	Wash Wash `json:"wash,omitempty"`
	// Secrets says whether hosts are given Kubernetes Secrets.
	Secrets Secrets `json:"secrets,omitempty"`
	// API is where the aggregated API is served.
	API API `json:"api,omitempty"`
}

// NATS is where the operator keeps its store and finds the lattices.
type NATS struct {
	// Address without port, as host groups are told it, such as nats://trellis-nats.trellis-system.svc.
	Address string `json:"address"`
	// Managed says that it came with the release: host groups that name no address use it, and get credentials made.
	Managed bool `json:"managed,omitempty"`
	// ClientPort. Default: 4222.
	ClientPort int32 `json:"clientPort,omitempty"`
	// LeafPort. Default: 7422.
	LeafPort int32 `json:"leafPort,omitempty"`
	// Domain of JetStream. Default: default.
	Domain string `json:"domain,omitempty"`
	// CredentialsDir is a folder with the file TRELLIS.creds for the store, and for each lattice lattice.NAME.creds and
	// lattice.NAME.nk, and lattice.NAME.narrow where that key gave host groups narrow rights only (see package natskeys).
	// Empty: no credentials.
	CredentialsDir string `json:"credentialsDir,omitempty"`
	// Replicas of the store's stream. Default: 1.
	Replicas int `json:"replicas,omitempty"`
}

// ClientURL is the address with the port for clients.
func (n NATS) ClientURL() string { return fmt.Sprintf("%s:%d", n.Address, n.ClientPort) }

// Lattice is a lattice with an account of its own.
type Lattice struct {
	// Name is one NATS token.
	Name string `json:"name"`
	// Namespaces whose host groups may join; "*" means all. Permission only: it binds nothing.
	Namespaces []string `json:"namespaces,omitempty"`
}

// Binding binds a lattice to namespaces whose applications it may run.
type Binding struct {
	// Lattice is the name of the lattice.
	Lattice string `json:"lattice"`
	// Namespaces bound; "*" means all.
	Namespaces []string `json:"namespaces"`
	// Home is the namespace where wash creates applications. Default: the first that is not "*".
	Home string `json:"home,omitempty"`
}

// Hosts are defaults of host groups.
type Hosts struct {
	// HelperImage is the Trellis image, from which the helper comes.
	HelperImage string `json:"helperImage"`
	// Image of hosts; without tag, spec.version is the tag. Default: ghcr.io/wasmcloud/wasmcloud.
	Image string `json:"image,omitempty"`
	// LeafImage of NATS leaves. Default: nats:2.12-alpine.
	LeafImage string `json:"leafImage,omitempty"`
	// ImagePullPolicy of all images in host pods.
	ImagePullPolicy string `json:"imagePullPolicy,omitempty"`
	// ImagePullSecrets that host pods name; they must exist in the namespaces of the host groups.
	ImagePullSecrets []string `json:"imagePullSecrets,omitempty"`
	// Mirrors are registries that hosts pull components and providers from instead of the original one.
	Mirrors []Mirror `json:"mirrors,omitempty"`
}

// Mirror sends every reference that begins with Prefix to Target instead.
type Mirror struct {
	// Prefix such as ghcr.io/trellis-operator.
	Prefix string `json:"prefix"`
	// Target such as registry.registry.svc:5000/trellis-operator.
	Target string `json:"target"`
	// Insecure targets are reached without TLS.
	Insecure bool `json:"insecure,omitempty"`
}

// Wash says for which lattices wash may work on applications.
type Wash struct {
	// Lattices by name; "*" means all, an empty list none. Default: all.
	Lattices *[]string `json:"lattices,omitempty"`
	// Accounts by lattice: requests are answered on `<account>.wadm.api.<lattice>.…` too, as a multitenant wadm does.
	Accounts map[string]string `json:"accounts,omitempty"`
}

// Allows says whether wash may work on applications of a lattice.
func (w Wash) Allows(lattice string) bool {
	if w.Lattices == nil {
		return true
	}
	for _, name := range *w.Lattices {
		if name == "*" || name == lattice {
			return true
		}
	}
	return false
}

// Secrets says whether hosts are given Kubernetes Secrets.
type Secrets struct {
	// Enabled serves wasmCloud's secrets protocol in every lattice, and asks whoever writes an application for the Secrets
	// that it references.
	Enabled bool `json:"enabled,omitempty"`
	// Backend is the name that policies of applications call it by. Default: kube.
	Backend string `json:"backend,omitempty"`
	// Prefix of the subjects. Host groups have one of their own below it. Default: wasmcloud.secrets.
	Prefix string `json:"prefix,omitempty"`
}

// API is where the aggregated API is served.
type API struct {
	// Port of the pods. Default: 8443.
	Port int32 `json:"port,omitempty"`
}

// Load reads the file strictly, fills in defaults and checks it.
func Load(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration can't be read: %w", err)
	}
	c, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the configuration %s can't be used: %w", path, err)
	}
	return c, nil
}

// Parse is Load for bytes.
func Parse(raw []byte) (*Config, error) {
	var c Config
	if err := yaml.UnmarshalStrict(raw, &c); err != nil {
		return nil, err
	}
	c.complete()
	return &c, c.validate()
}

func (c *Config) complete() {
	setDefault(&c.NATS.ClientPort, 4222)
	setDefault(&c.NATS.LeafPort, 7422)
	setDefault(&c.NATS.Domain, "default")
	setDefault(&c.NATS.Replicas, 1)
	setDefault(&c.API.Port, 8443)
	setDefault(&c.Secrets.Backend, "kube")
	setDefault(&c.Secrets.Prefix, "wasmcloud.secrets")
	for i := range c.Lattices {
		if c.Lattices[i].Namespaces == nil {
			c.Lattices[i].Namespaces = []string{"*"}
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
