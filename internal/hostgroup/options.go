// Package hostgroup is the controller of host groups: it turns a WasmCloudHostConfig into a Deployment or DaemonSet
// with its ConfigMap and Secrets, and tells in its status which hosts are healthy and what runs.
//
// What the objects look like is decided by pure functions (Build); the Reconciler gathers their inputs, applies what
// differs, and writes the status once at the end. At rest it writes nothing.
package hostgroup

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

// Defaults of wasmCloud's operator, and what Trellis changes knowingly.
const (
	// DefaultHostImage is the host image of groups that name none, without its tag.
	DefaultHostImage = "ghcr.io/wasmcloud/wasmcloud"
	// DefaultLeafImage is the leaf image of groups that name none (wasmCloud's operator: nats:2.10-alpine).
	DefaultLeafImage = "nats:2.12-alpine"
	// DefaultNatsAddress is the hub of groups that name none and whose lattice is not one of the chart's.
	DefaultNatsAddress = "nats://nats.default.svc.cluster.local"
	// UserID is the numeric user and group of every container.
	UserID = 65532
)

// Addresses on the loopback of a host pod.
const (
	// LeafPort is where the leaf listens, on 127.0.0.1 only.
	LeafPort = 4222
	// AdminAddress is where the host answers health requests, unless the user chose another (WASMCLOUD_HTTP_ADMIN). The
	// port is an unusual one: an application that listens on 0.0.0.0 can't take a port that is taken on 127.0.0.1.
	AdminAddress = "127.0.0.1:4290"
)

// Paths of the helper within the Trellis image and within host pods.
const (
	helperInImage = "/usr/local/bin/trellis-helper"
	helperDir     = "/trellis"
	helperPath    = helperDir + "/trellis-helper"
)

// Images says where the images of host groups come from.
type Images struct {
	// Helper is the Trellis image; its helper is copied into every host pod.
	Helper string
	// Host is the default of spec.image. Without a tag, spec.version is the tag.
	Host string
	// Leaf is the default of spec.natsLeafImage.
	Leaf string
	// PullPolicy of all three; empty leaves it to Kubernetes.
	PullPolicy string
	// PullSecrets are names of pull secrets that every host pod refers to.
	PullSecrets []string
	// Mirrors are registries that hosts pull components and providers from instead of the original one.
	Mirrors []Mirror
}

// Mirror sends every reference that begins with Prefix to Target instead.
type Mirror struct {
	Prefix   string
	Target   string
	Insecure bool
}

// Hub is the NATS that the chart installed. The zero value means: none.
type Hub struct {
	// Address is its address without port, such as nats://trellis-nats.trellis-system.svc.
	Address string
	// LeafPort is its port for leaves; it replaces spec.natsLeafnodePort of groups that use this hub by default.
	LeafPort int32
	// Lattices maps the lattices that have an account there to the namespaces whose groups may join; "*" means all.
	Lattices map[string][]string
	// Credentials makes credentials for them.
	Credentials Credentials
}

// Credentials makes NATS credentials for host groups that use the NATS of the chart.
type Credentials interface {
	// Issue returns the content of a NATS credentials file for the leaves of a group, or an error if there is no key for
	// the lattice, or if the spec asks for rights that are not given: that error has a method Field.
	Issue(group *v1alpha1.WasmCloudHostConfig) ([]byte, error)
	// Valid says whether credentials that were issued earlier still log in to the lattice, with the rights that the group
	// gets now.
	Valid(group *v1alpha1.WasmCloudHostConfig, credentials []byte) bool
}

// Host is what the lattice shows of one host.
type Host struct {
	ID         string
	Name       string
	Version    string
	Labels     map[string]string
	StartedAt  time.Time
	Components int
	Providers  int
	// Silent says that the host does not answer, though its heartbeats are not overdue yet.
	Silent bool
}

// Hosts is the view of the lattices.
type Hosts interface {
	// Hosts returns the hosts of the lattice that are alive. The error says in a sentence why the lattice can't be
	// observed now; ErrLoginRefused if it is the login.
	Hosts(ctx context.Context, lattice string) ([]Host, error)
}

// App is an application of a lattice.
type App struct {
	Name string
	// Version is the newest stored version, deployed or not.
	Version string
}

// Applications knows the applications of each lattice.
type Applications interface {
	// Applications returns those of the lattice; an error means that they are not known now.
	Applications(ctx context.Context, lattice string) ([]App, error)
}

// Options is what a Reconciler works with. All but SecretsTopic, Now and Events are required.
type Options struct {
	Images       Images
	Hub          Hub
	Hosts        Hosts
	Applications Applications
	// Client reads from the manager's cache and writes.
	Client client.Client
	// Live reads from the API server: Secrets, which are never cached, and objects that the cache filters out.
	Live client.Reader
	// SecretsTopic names the subject prefix under which the hosts of a group ask for secrets, where the group names none;
	// nil means that there is no backend to ask.
	SecretsTopic func(namespace, group string) string
	// Events records transitions; nil records none.
	Events EventRecorder
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}
