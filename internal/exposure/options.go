// Package exposure is the controller that gives every application with an HTTP server, or with ports that a policy
// lists, a Service, and the Service live endpoints and routes.
//
// What counts is what runs: the links and configurations of the lattice say which port a provider listens on, the hosts
// say where it runs, their pods say at which address and whether they are ready. The manifest only says whether an
// application wants a Service at all: links come and go while an application is updated, and its Service must not.
package exposure

import (
	"context"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trellis-operator/trellis/internal/policy"
)

// Application is what exposure knows of an application.
type Application struct {
	Namespace string
	Name      string
	UID       types.UID
	// Lattice that it was resolved to; empty while unresolved.
	Lattice string
	// Deployed says whether a version is meant to run.
	Deployed bool
	// Disabled says that the user wants no Service (ExposeAnnotation).
	Disabled bool
	// Providers are the capability providers of the deployed version.
	Providers []Provider
	// Policy is what the expose policies of the deployed version say, nil if it has none; Problems is what is wrong in them.
	Policy   *policy.Settings
	Problems []policy.Problem
	// Exposed and Routed are the conditions that were reported last, nil if none; Endpoint and Kept are what was.
	Exposed  *metav1.Condition
	Routed   *metav1.Condition
	Endpoint string
	Kept     Kept
	// Generation of the metadata, for the condition.
	Generation int64
}

// Provider is a capability provider of an application.
type Provider struct {
	ID string
	// Component is its name in the manifest.
	Component string
	Image     string
	// Config are the names of its configurations in the lattice, in order.
	Config []string
	// ServesHTTP says whether the manifest links it to a component on wasi:http/incoming-handler.
	ServesHTTP bool
}

// Exposure is what is reported of an application. A nil condition is taken away.
type Exposure struct {
	Condition *metav1.Condition
	Routed    *metav1.Condition
	Endpoint  string
	Kept      Kept
}

// Kept is what users set on the Service, which a new one gets as well.
type Kept struct {
	Type        corev1.ServiceType
	Annotations map[string]string
	// NodePorts by the name of the port.
	NodePorts map[string]int32
}

// Applications knows the applications of every namespace.
type Applications interface {
	// Application returns one application, or nil if there is none. An error means that it is not known now.
	Application(ctx context.Context, key types.NamespacedName) (*Application, error)
	// InLattice names the applications of a lattice.
	InLattice(ctx context.Context, lattice string) ([]types.NamespacedName, error)
	// Report writes condition and endpoint into the status of the application, if it still has that uid.
	Report(ctx context.Context, key types.NamespacedName, uid types.UID, exposure Exposure) error
}

// Lattices shows what runs.
type Lattices interface {
	// View returns what is known of a lattice. The error says in a sentence why it can't be observed now; nothing is
	// changed then.
	View(ctx context.Context, lattice string) (View, error)
}

// View is a lattice. Each answer is that of its moment: two of them may differ by what happened in between, and a change leads
// to another look.
type View interface {
	// Links returns the links whose source is the component or provider of that id.
	Links(source string) []Link
	// Config returns a named configuration.
	Config(name string) (map[string]string, bool)
	// Hosts returns the live hosts that run the component or provider of that id.
	Hosts(id string) []Host
}

// Link lets a source call a target.
type Link struct {
	Target       string
	Namespace    string
	Package      string
	Interfaces   []string
	SourceConfig []string
}

// Host is a host that runs something.
type Host struct {
	ID     string
	Labels map[string]string
}

// Dialer finds out whether a port answers. *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Options is what a Reconciler works with.
type Options struct {
	Applications Applications
	Lattices     Lattices
	// Client reads from the manager's cache and writes.
	Client client.Client
	// Live reads from the API server what the cache filters out.
	Live client.Reader
	// Dialer, if set, is asked before an endpoint enters: only ports that answer do, or after Patience.
	Dialer Dialer
	// Patience is how long a port may be silent before its endpoint enters unverified; zero means ten seconds.
	Patience time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}
