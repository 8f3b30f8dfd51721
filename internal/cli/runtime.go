package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/control"
	"github.com/trellis-operator/trellis/internal/lease"
	"github.com/trellis-operator/trellis/internal/orchestrator"
	"github.com/trellis-operator/trellis/internal/wadmapi"
)

// latticeRuntime is what runs for one lattice: its orchestrator and wadm's API.
type latticeRuntime struct {
	name     string
	bindings *binding.Set
	lattices *lattices
	loopback *rest.Config
	cache    *applications.Cache
	guard    *storeGuard
	living   livingNamespace
	recorder orchestrator.Recorder
	// ends tells about hosts whose pods end; nil where there are no pods.
	ends orchestrator.HostEnds
	// identityLabel of hosts carries the uid of their pod; empty where there are no pods.
	identityLabel string
	// window is how long answers to a ping are gathered.
	window time.Duration
	// sole says that no other process can look after the lattice.
	sole bool
	// identity of this process among its replicas.
	identity string
	// account is the first token of the multitenant form of wadm's subjects; empty where there is none.
	account string
	// askAgain is the pause between two questions whether wadm still runs; 0 is the default.
	askAgain time.Duration

	lease *lease.Lease
	// conductor is made by start.
	conductor *orchestrator.Orchestrator
	// begun holds one note that this process has begun to act on the lattice.
	begun chan struct{}
	// ours is closed once no wadm answers for the lattice.
	ours chan struct{}
}

// start starts both as parts of p.
func (l *latticeRuntime) start(ctx context.Context, p *parts) error {
	link, err := l.lattices.link(ctx, l.name)
	if err != nil {
		return err
	}
	l.ours, l.begun = make(chan struct{}), make(chan struct{}, 1)
	if err := l.startOrchestrator(ctx, p, link); err != nil {
		return err
	}
	return l.startWadmAPI(ctx, p, link)
}

func (l *latticeRuntime) startOrchestrator(ctx context.Context, p *parts, link *latticeLink) error {
	client, err := applications.NewClient(actAs(l.loopback, apiserver.OrchestratorUser))
	if err != nil {
		return err
	}
	hosts, err := control.New(link.conn, l.name, control.Options{Domain: link.domain, Window: l.window})
	if err != nil {
		return err
	}
	held, err := lease.New(lease.Config{
		Conn: link.conn, Domain: link.domain, Cluster: l.lattices.cluster, Lattice: l.name, Holder: l.identity, Sole: l.sole,
	})
	if err != nil {
		return err
	}
	l.lease = held
	counted, err := metrics()
	if err != nil {
		return err
	}
	conductor, err := orchestrator.New(orchestrator.Config{
		Lattice: l.name, Control: hosts, Metrics: counted,
		Recorder: l.recorder, HostEnds: l.ends, Drains: hosts, IdentityLabel: l.identityLabel,
		Lease:        &guardedLease{Lease: held, guard: l.guard, conn: link.conn, begun: l.noteBegin},
		Applications: applications.NewLattice(l.cache, client, l.name),
		Revisions:    applications.NewRevisions(client),
		Teardowns:    teardownsForOrchestrator{link.ledger, l.lattices.cluster},
	})
	if err != nil {
		return fmt.Errorf("make the orchestrator of lattice %q: %w", l.name, err)
	}
	l.conductor = conductor
	p.start(ctx, "orchestrator of lattice "+l.name, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-l.ours: // wadm does not run: nobody else commands the hosts
			return conductor.Run(ctx)
		}
	})
	return nil
}

func (l *latticeRuntime) startWadmAPI(ctx context.Context, p *parts, link *latticeLink) error {
	wash := applications.NewWash(func(lattice string) (*applications.Client, error) {
		return applications.NewClient(actAs(l.loopback, apiserver.WashUserPrefix+lattice, apiserver.WashGroup))
	}, l.namespaces)
	once := sync.Once{}
	client, err := applications.NewClient(actAs(l.loopback, apiserver.OrchestratorUser))
	if err != nil {
		return err
	}
	other := &wadmRunning{lattice: l.name, cache: l.cache, client: client, recorder: l.recorder, waiting: newNotes[types.NamespacedName]()}
	server, err := wadmapi.New(wadmapi.Config{
		Conn: link.conn, Lattice: l.name, Account: l.account, Version: Version, AskAgain: l.askAgain,
		Applications: wash, Revisions: wash, Homes: homesForWash{l.bindings, l.lattices, l.living},
		Prepare: func(ctx context.Context) error { return l.takeOver(ctx, link) },
		OnState: func(state wadmapi.State) {
			logr.FromContextOrDiscard(ctx).Info("wadm API", "lattice", l.name, "serving", state.Serving, "wadmRunning", state.WadmRunning, "message", state.Message)
			other.set(state.Wadm())
			if state.Serving {
				once.Do(func() { close(l.ours) })
			}
		},
	})
	if err != nil {
		return fmt.Errorf("make wadm's API of lattice %q: %w", l.name, err)
	}
	p.start(ctx, "notes about wadm in lattice "+l.name, other.run)
	p.start(ctx, "wadm API of lattice "+l.name, server.Run)
	p.start(ctx, "wadm status of lattice "+l.name, func(ctx context.Context) error { return l.publishStatus(ctx, server) })
	return nil
}

func (l *latticeRuntime) noteBegin() {
	select {
	case l.begun <- struct{}{}:
	default: // there is a note already
	}
}

// publishStatus tells whoever listens to wadm.status.<lattice>.<name>, from the one process that acts on the lattice. One
// that begins to act says what the one before may not have come to say.
func (l *latticeRuntime) publishStatus(ctx context.Context, server *wadmapi.Server) error {
	exists := func(name string) bool { return l.cache.Find(l.name, name) != nil }
	if err := server.FollowStatus(ctx, exists); err != nil {
		return err
	}
	publish := func(app *oam.Application) {
		if app.Status.Lattice != l.name || !l.lease.Valid() {
			return
		}
		if err := server.PublishStatus(ctx, app, !exists(app.Name)); err != nil {
			logr.FromContextOrDiscard(ctx).Info("wadm's status message was not sent", "application", app.Name, "reason", err.Error())
		}
	}
	l.cache.Subscribe(ctx, publish)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.begun:
			for _, app := range l.cache.InLattice(l.name) {
				publish(app)
			}
		}
	}
}

// namespaces are those that wash may read in a lattice.
func (l *latticeRuntime) namespaces(lattice string) []string {
	names, every := l.bindings.Namespaces(lattice)
	if every {
		return []string{metav1.NamespaceAll}
	}
	return names
}

// actAs returns a configuration that impersonates a user; authenticated is a group of each.
func actAs(config *rest.Config, user string, groups ...string) *rest.Config {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	return config
}

// logRecorder writes Events to the log, where there is no cluster to write them to.
type logRecorder struct{ log logr.Logger }

func (r logRecorder) Event(app *oam.Application, eventType, reason, message string) {
	r.log.Info("Event", "type", eventType, "namespace", app.Namespace, "application", app.Name, "reason", reason, "message", message)
}

// newLogger writes JSON lines; verbosity is that of logr: the higher, the more is told.
func newLogger(w io.Writer, verbosity int) logr.Logger {
	return logr.FromSlogHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.Level(-verbosity)}))
}
