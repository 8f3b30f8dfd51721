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
	recorder orchestrator.Recorder
	// deaths tells about hosts whose pods are gone; nil where there are no pods.
	deaths orchestrator.HostDeaths
	// identityLabel of hosts carries the uid of their pod; empty where there are no pods.
	identityLabel string
	// window is how long answers to a ping are gathered.
	window time.Duration
	// sole says that no other process can look after the lattice.
	sole bool
	// identity of this process among its replicas.
	identity string

	lease *lease.Lease
	// ours is closed once no wadm answers for the lattice.
	ours chan struct{}
}

// start starts both as parts of p.
func (l *latticeRuntime) start(ctx context.Context, p *parts) error {
	link, err := l.lattices.link(ctx, l.name)
	if err != nil {
		return err
	}
	l.ours = make(chan struct{})
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
	conductor, err := orchestrator.New(orchestrator.Config{
		Lattice: l.name, Control: hosts, Lease: held, Recorder: l.recorder, HostDeaths: l.deaths, IdentityLabel: l.identityLabel,
		Applications: applications.NewLattice(l.cache, client, l.name),
		Revisions:    applications.NewRevisions(client),
		Teardowns:    teardownsForOrchestrator{link.ledger, l.lattices.cluster},
	})
	if err != nil {
		return fmt.Errorf("make the orchestrator of lattice %q: %w", l.name, err)
	}
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
	server, err := wadmapi.New(wadmapi.Config{
		Conn: link.conn, Lattice: l.name, Version: Version,
		Applications: wash, Revisions: wash, Homes: homesForWash{l.bindings, l.lattices},
		OnState: func(state wadmapi.State) {
			logr.FromContextOrDiscard(ctx).Info("wadm API", "lattice", l.name, "serving", state.Serving, "wadmRunning", state.WadmRunning, "message", state.Message)
			if state.Serving {
				once.Do(func() { close(l.ours) })
			}
		},
	})
	if err != nil {
		return fmt.Errorf("make wadm's API of lattice %q: %w", l.name, err)
	}
	p.start(ctx, "wadm API of lattice "+l.name, server.Run)
	p.start(ctx, "wadm status of lattice "+l.name, func(ctx context.Context) error {
		l.publishStatus(ctx, server)
		<-ctx.Done()
		return nil
	})
	return nil
}

// publishStatus tells whoever listens to wadm.status.<lattice>.<name>, from the one process that acts on the lattice.
func (l *latticeRuntime) publishStatus(ctx context.Context, server *wadmapi.Server) {
	l.cache.Subscribe(ctx, func(app *oam.Application) {
		if app.Status.Lattice != l.name || !l.lease.Valid() {
			return
		}
		gone := l.cache.Find(l.name, app.Name) == nil
		if err := server.PublishStatus(ctx, app, gone); err != nil {
			logr.FromContextOrDiscard(ctx).Info("wadm's status message was not sent", "application", app.Name, "reason", err.Error())
		}
	})
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
