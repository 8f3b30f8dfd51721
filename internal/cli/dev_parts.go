package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/trellis-operator/trellis/examples/hello"
	"github.com/trellis-operator/trellis/internal/apiserver"
	"github.com/trellis-operator/trellis/internal/applications"
	"github.com/trellis-operator/trellis/internal/binding"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/registry"
	"github.com/trellis-operator/trellis/internal/store"
)

const (
	// devDomain is the JetStream domain of dev's NATS; the chart's hub has the same.
	devDomain = "default"
	// mirrored is the prefix of image references that the registry stands in for.
	mirrored = "ghcr.io/trellis-operator"

	devStartTimeout     = 30 * time.Second
	registryStopTimeout = 2 * time.Second
	// devWindow is how long hosts may take to answer a ping: they are on this machine.
	devWindow = 300 * time.Millisecond
)

// dev is a running `trellis dev`. Its fields are set by the steps in the order of their declaration.
type dev struct {
	options devOptions
	state   *devState
	parts   *parts
	// clock of the Application API; nil is the real one.
	clock clock.WithTicker
	// askAgain is the pause between two questions whether wadm still runs; 0 is the default.
	askAgain time.Duration

	natsURL  string
	conn     *nats.Conn
	registry *registry.Server

	bindings    *binding.Set
	lattices    *lattices
	adminConfig *rest.Config
	kubeconfig  string
	guard       *storeGuard
	objects     *store.Store
	loopback    *rest.Config
	cache       *applications.Cache
}

// startNATS starts the embedded server, unless the user named another, and connects.
func (d *dev) startNATS(ctx context.Context) error {
	d.natsURL = d.options.natsURL
	domain := devDomain
	if d.natsURL == "" {
		server, err := natsd.Start(natsd.Options{
			Port: orRandom(d.options.natsPort), StoreDir: d.state.path("nats"), Domain: domain, ServerName: "trellis-dev", SyncAlways: true,
		})
		if err != nil {
			return fmt.Errorf("%w Choose another with --nats-port, or use the server that runs there with --nats", err)
		}
		d.natsURL = server.ClientURL()
		d.parts.onStop(ctx, "NATS", func() error { server.Shutdown(); return nil })
	}
	conn, err := natsconn.Connect(ctx, natsconn.Config{URLs: []string{d.natsURL}, Name: "trellis-dev"})
	if err != nil {
		return err
	}
	d.conn = conn
	d.parts.onStop(ctx, "NATS connection", func() error { conn.Close(); return nil })
	return nil
}

func orRandom(port int) int {
	if port == 0 {
		return natsd.RandomPort
	}
	return port
}

// startRegistry starts the registry and puts the example's component and the user's into it.
func (d *dev) startRegistry(ctx context.Context) error {
	server, err := registry.Start(ctx, loopbackAddress(d.options.registryPort), d.state.path("registry"))
	if err != nil {
		return fmt.Errorf("%w with --registry-port", err)
	}
	d.registry = server
	d.parts.onStop(ctx, "registry", func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), registryStopTimeout)
		defer cancel()
		return server.Shutdown(ctx)
	})
	mirrors, err := ociwasm.ParseMirrors(d.mirrors())
	if err != nil {
		return err
	}
	into := ociwasm.Options{Mirrors: mirrors}
	if _, err := ociwasm.PushBytes(ctx, hello.Image, hello.Component, into); err != nil {
		return fmt.Errorf("put the example's component into the registry: %w", err)
	}
	for _, c := range d.options.components {
		reference, file, _ := strings.Cut(c, "=")
		if _, err := ociwasm.Push(ctx, reference, file, into); err != nil {
			return fmt.Errorf("--component %s: %w", c, err)
		}
	}
	return nil
}

func (d *dev) mirrors() string { return mirrored + "=" + d.registry.Address() + "/trellis-operator" }

// startAPI starts the store, the Application API with its kubeconfig, and the one cache of applications.
func (d *dev) startAPI(ctx context.Context) error {
	cluster, err := d.state.clusterID()
	if err != nil {
		return err
	}
	d.bindings = binding.NewSet([]binding.Binding{{Lattice: devLattice}})
	d.lattices = newLattices(cluster, func(context.Context, string) (*latticeLink, error) {
		return &latticeLink{conn: d.conn, domain: d.domain()}, nil
	})
	if err := d.openStore(ctx, cluster); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopbackAddress(d.options.apiPort))
	if err != nil {
		return fmt.Errorf("listen for the Application API: %w; choose another port with --api-port", err)
	}
	identity, err := d.identity(listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	d.adminConfig, d.kubeconfig = identity.config, identity.kubeconfig
	names, ports := ledgersForAPI{d.lattices}, &portsForAPI{}
	server, err := apiserver.New(apiserver.Config{
		Store: d.objects, Settled: d.guard.settled, Bindings: bindingsForAPI{d.bindings},
		Claims: names, HeldClaims: names, Teardowns: names, Ports: ports,
		Listener: listener, Certificate: identity.serving, ClientCA: identity.clientCA, Clock: d.clock,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	d.parts.start(ctx, "Application API", server.Run)
	d.loopback = server.LoopbackConfig()
	return d.startCache(ctx, server.Reader(), ports)
}

// domain is that of the embedded server; another server's default domain is used as it is.
func (d *dev) domain() string {
	if d.options.natsURL != "" {
		return ""
	}
	return devDomain
}

func (d *dev) startCache(ctx context.Context, all applications.Reader, ports *portsForAPI) error {
	client, err := applications.NewClient(actAs(d.loopback, apiserver.OrchestratorUser))
	if err != nil {
		return err
	}
	if d.cache, err = applications.NewCache(all); err != nil {
		return err
	}
	ports.cache.Store(d.cache)
	d.parts.start(ctx, "cache of applications", func(ctx context.Context) error { d.cache.Run(ctx); return nil })
	d.guard.watch(ctx, d.parts, d.objects, d.cache, client)
	d.parts.start(ctx, "limits of dev", (&devLimits{cache: d.cache, client: client}).run)
	ctx, cancel := context.WithTimeout(ctx, devStartTimeout)
	defer cancel()
	return d.cache.WaitForSync(ctx)
}

// startOrchestration starts what makes applications true in the lattice, and wadm's API.
func (d *dev) startOrchestration(ctx context.Context) error {
	l := &latticeRuntime{name: devLattice, bindings: d.bindings, lattices: d.lattices, loopback: d.loopback, cache: d.cache,
		guard: d.guard, living: anyNamespace, identity: uuid.NewString(), window: devWindow, sole: d.options.natsURL == "", askAgain: d.askAgain, recorder: logRecorder{logr.FromContextOrDiscard(ctx)}}
	return l.start(ctx, d.parts)
}

// startHost starts trellis-host in the lattice.
func (d *dev) startHost(ctx context.Context) error {
	if d.options.noHost {
		return nil
	}
	binary, err := findHost(d.options.hostBinary)
	if err != nil {
		return err
	}
	at, err := url.Parse(d.natsURL)
	if err != nil {
		return fmt.Errorf("--nats: %w", err)
	}
	host := &hostProcess{binary: binary, logPath: d.state.path("host.log"), env: []string{
		"WASMCLOUD_LATTICE=" + devLattice,
		"WASMCLOUD_NATS_HOST=" + at.Hostname(),
		"WASMCLOUD_NATS_PORT=" + at.Port(),
		"WASMCLOUD_ALLOW_FILE_LOAD=true",
		"WASMCLOUD_OCI_ALLOW_LATEST=true",
		"WASMCLOUD_OCI_ALLOWED_INSECURE=" + d.registry.Address(),
		"TRELLIS_OCI_MIRRORS=" + d.mirrors(),
		"TRELLIS_CACHE_DIR=" + d.state.path("compiled"),
	}}
	if domain := d.domain(); domain != "" {
		host.env = append(host.env, "WASMCLOUD_JS_DOMAIN="+domain)
	}
	d.parts.start(ctx, "trellis-host", host.run)
	return nil
}

// devLogger writes to trellis.log in the state folder, so that the terminal shows what the user asked for.
func devLogger(state *devState) logr.Logger {
	file, err := os.OpenFile(state.path("trellis.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return newLogger(os.Stderr, 0)
	}
	return newLogger(file, 0)
}
