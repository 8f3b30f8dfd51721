package orchestrator

import (
	"context"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/lattice"
)

// Applications are the live applications that are resolved to the orchestrator's lattice. What it returns is shared and
// must not be changed.
type Applications interface {
	// List returns all of them. It is an error, not a short list, as long as not all are known.
	List() ([]*v1beta1.Application, error)
	// Get returns one; nil when there is none of that name in this lattice.
	Get(namespace, name string) (*v1beta1.Application, error)
	// Subscribe calls changed for every application that appears, changes, or leaves the lattice, until ctx ends. It
	// returns at once; changed does not block.
	Subscribe(ctx context.Context, changed func(namespace, name string))
	// UpdateStatus writes status and nothing else, and sets app's resourceVersion to that of the write. A conflict is an
	// error: the change that caused it will be reported.
	UpdateStatus(ctx context.Context, app *v1beta1.Application) error
}

// Revisions are the stored versions of an application.
type Revisions interface {
	// List returns the kept versions of an application, the oldest first.
	List(ctx context.Context, namespace, name string) ([]v1beta1.ApplicationRevision, error)
}

// Teardowns are the durable records of what must be stopped in the lattice. Only records of our own cluster are shown.
type Teardowns interface {
	// Watch reports all records and then changes, in the manner of lattice.Change: ChangeReset, the records, ChangeSynced,
	// changes; again from ChangeReset when it had to begin anew. done is closed after the last call.
	Watch(ctx context.Context, handle func(TeardownChange)) (done <-chan struct{})
	// Remove deletes a record whose work is done. One that is not there is no error.
	Remove(ctx context.Context, id string) error
}

// TeardownChange is one report of a watch of teardown records; Name is the id of the record.
type TeardownChange = lattice.Change[Teardown]

// Teardown says what an application that was deleted, undeployed or moved has in the lattice.
type Teardown struct {
	// Namespace, Application and UID of the object; Application is also what stands in the annotations of what runs.
	Namespace, Application, UID string
	// Components and providers by id.
	IDs []string
	// Links to delete.
	Links []lattice.LinkKey
	// Configs to delete, secret references included.
	Configs []string
	// Hosts that ran the application when the record was written: one that is not there to confirm is waited for.
	Hosts []string
	// Pods are the uids of the pods of those hosts, by host, as far as they ran in pods that HostEnds knows.
	Pods map[string]string
}

// Lease makes sure that one process acts on the lattice at a time.
type Lease interface {
	// Hold calls lead whenever the lease was won, with a context that ends when it is lost, and returns when ctx ends.
	// Acting may have to wait for Valid.
	Hold(ctx context.Context, lead func(ctx context.Context)) error
	// Valid says whether the lease is held and will be for long enough to send a command now.
	Valid() bool
}

// Recorder tells users about transitions, as Kubernetes Events do. It does not block.
type Recorder interface {
	// Event: eventType is Normal or Warning.
	Event(app *v1beta1.Application, eventType, reason, message string)
}

// HostEnds tells of hosts that end, for instance because their pod does: before they say goodbye, and before their
// heartbeats are overdue. Hosts are named by a label that only this host has.
type HostEnds interface {
	// Watch calls ending for each host that is about to end, those of before included, and gone for each that has ended,
	// until ctx ends. It returns at once.
	Watch(ctx context.Context, ending, gone func(label, value string))
	// Alive says whether there is a host with this value of that label, or still could be. known is false as long as
	// nobody can tell.
	Alive(label, value string) (alive, known bool)
}

// Drains are requests to drain hosts, from whoever is about to end them.
type Drains interface {
	// ServeDrains answers requests about hosts, named by the uid of their pod, with what is left to do, until ctx ends;
	// what is not known yet is not answered. done is closed after the last call of left.
	ServeDrains(ctx context.Context, left func(podUID string) (answer lattice.DrainAnswer, ok bool)) (done <-chan struct{}, err error)
}

// Control is the way to the hosts of the lattice; internal/control satisfies it.
type Control interface {
	Queries
	Feeds
	Workloads
	Wiring
}

// Queries ask hosts.
type Queries interface {
	// Ping gathers the answers of all hosts.
	Ping(ctx context.Context) ([]lattice.HostPing, error)
	HostInventory(ctx context.Context, host string) (lattice.Inventory, error)
	// Connected says whether the connection is up at this moment.
	Connected() bool
}

// Feeds report what happens in the lattice. Each calls its function from one goroutine.
type Feeds interface {
	// Events reports events; gap is called when some may have been missed.
	Events(ctx context.Context, handle func(lattice.Event), gap func(error)) (done <-chan struct{}, err error)
	WatchLattice(ctx context.Context, handle func(lattice.SpecChange)) (done <-chan struct{})
	WatchConfig(ctx context.Context, handle func(lattice.ConfigChange)) (done <-chan struct{})
}

// Workloads are the commands about components and providers. Success means that the host took the command.
type Workloads interface {
	ScaleComponent(ctx context.Context, cmd lattice.ScaleComponent) (notice string, err error)
	UpdateComponent(ctx context.Context, cmd lattice.UpdateComponent) (notice string, err error)
	StartProvider(ctx context.Context, cmd lattice.StartProvider) error
	StopProvider(ctx context.Context, host, providerID string) error
}

// Wiring are the commands about links and configurations. Success means stored.
type Wiring interface {
	PutLink(ctx context.Context, l lattice.Link) error
	DeleteLink(ctx context.Context, key lattice.LinkKey) error
	PutConfig(ctx context.Context, name string, config lattice.Config) error
	DeleteConfig(ctx context.Context, name string) error
}
