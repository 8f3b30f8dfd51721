// Package wasmhost is trellis-host: a small wasmCloud host. It speaks the control protocol of a lattice, runs components
// on an Engine and serves HTTP to them. wRPC over NATS and provider binaries are not part of it.
package wasmhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

// Host is one host of a lattice. Make it with New and run it once.
type Host struct {
	config   Config
	log      logr.Logger
	id       string
	name     string
	started  time.Time
	subjects lattice.Subjects
	fetch    *fetcher
	// identity is the host's token, which it shows to backends of secrets.
	identity string

	control *nats.Conn
	rpc     *nats.Conn
	data    *latticeData
	secrets *secret.Client // nil without a topic

	ready  atomic.Bool
	stop   chan time.Duration // the deadline of a shutdown that the lattice asked for
	tasks  *serial
	groups sync.WaitGroup
	// closing are ports that are closed and answer what came before.
	closing sync.WaitGroup
	// draining: the pod of this host is about to end.
	draining atomic.Bool

	mu         sync.Mutex
	labels     map[string]string
	components map[string]*component
	providers  map[string]*provider
}

// New checks the configuration. Nothing is opened before Run.
func New(c Config) (*Host, error) {
	if c.Engine == nil {
		return nil, errors.New("a host needs an engine")
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	subjects, err := lattice.NewSubjects(c.ControlPrefix, c.Lattice)
	if err != nil {
		return nil, err
	}
	id, err := newKey(c.Seed)
	if err != nil {
		return nil, fmt.Errorf("the host's seed is not usable: %w", err)
	}
	name := friendlyName()
	identity, err := token.ForHost(id, name, time.Now())
	if err != nil {
		return nil, fmt.Errorf("make the host's token: %w", err)
	}
	h := &Host{
		config: c, id: id, name: name, subjects: subjects, identity: identity,
		log:        c.Log.WithValues("host", id, "lattice", c.Lattice),
		labels:     detectedLabels(),
		stop:       make(chan time.Duration, 1),
		components: map[string]*component{}, providers: map[string]*provider{},
	}
	maps.Copy(h.labels, c.Labels)
	h.fetch = newFetcher(c)
	h.tasks = newSerial()
	return h, nil
}

// ID is the host's public key.
func (h *Host) ID() string { return h.id }

// Run connects, serves until ctx ends or the lattice stops the host, and shuts down in order.
func (h *Host) Run(ctx context.Context) error {
	ctx = logr.NewContext(ctx, h.log)
	if err := h.open(ctx); err != nil {
		h.close()
		return err
	}
	defer h.close()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if err := h.data.start(work); err != nil {
		return err
	}
	admin, err := h.serveAdmin()
	if err != nil {
		return err
	}
	defer admin.close()
	subscriptions, err := h.subscribe(work)
	if err != nil {
		return err
	}
	h.emit(lattice.HostStarted{FriendlyName: h.name, Labels: h.copyLabels(), Version: Version})
	h.ready.Store(true)
	h.log.Info("The host is ready", "name", h.name)
	beat := h.heartbeats(work)

	deadline := defaultShutdown
	select {
	case <-ctx.Done():
	case deadline = <-h.stop:
	}
	return h.shutdown(deadline, cancel, subscriptions, beat)
}

func (h *Host) open(ctx context.Context) error {
	h.started = time.Now()
	var err error
	if h.control, err = natsconn.Connect(ctx, h.config.Control); err != nil {
		return err
	}
	h.rpc = h.control
	if !sameConnection(h.config.Control, h.config.RPC) {
		if h.rpc, err = natsconn.Connect(ctx, h.config.RPC); err != nil {
			return err
		}
	}
	if h.config.SecretsTopic != "" {
		h.secrets = secret.NewClient(h.control, h.config.SecretsTopic, h.config.SecretsTimeout)
	}
	h.data, err = openData(ctx, h.control, h.config.Lattice, h.config.JSDomain, h.log)
	if err != nil {
		return err
	}
	h.data.changed, h.data.check = h.specChanged, h.config.Heartbeat
	return nil
}

func sameConnection(a, b natsconn.Config) bool {
	return len(b.URLs) == 0 || a.URLs[0] == b.URLs[0] && a.CredsFile == b.CredsFile && bytes.Equal(a.Creds, b.Creds)
}

// shutdown keeps upstream's order: not ready, no more commands, host_stopped, flush. Before host_stopped all ports are
// closed and requests under way are answered, as long as the deadline allows, which upstream does not do.
func (h *Host) shutdown(deadline time.Duration, cancel func(), subscriptions []*nats.Subscription, beat <-chan struct{}) error {
	ctx, done := context.WithTimeout(context.Background(), deadline)
	defer done()
	h.ready.Store(false)
	h.log.Info("The host shuts down", "deadline", deadline.String())
	for _, s := range subscriptions {
		_ = s.Unsubscribe() // fails only without a connection, and then nothing comes in
	}
	h.stopProviders(ctx)
	failed := within(ctx, func() {
		h.groups.Wait()
		cancel() // fetching and compiling for a host that ends is in vain
		h.tasks.wait()
	})
	cancel()
	h.stopProviders(ctx) // one may have started since
	if failed == nil && within(ctx, h.closing.Wait) != nil {
		h.log.Info("Requests were under way for longer than the host could wait, and are broken off")
	}
	<-beat
	h.emit(lattice.HostStopped{Labels: h.copyLabels()})
	if err := h.control.FlushTimeout(time.Second); err != nil {
		h.log.Info("The last messages may not have been sent", "reason", err.Error())
	}
	return failed
}

// within waits for something until ctx ends.
func within(ctx context.Context, wait func()) error {
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errShutdownTimeout
	}
}

func (h *Host) close() {
	if h.rpc != nil && h.rpc != h.control {
		h.rpc.Close()
	}
	if h.control != nil {
		h.control.Close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.components {
		c.code.Close()
	}
}

// detectedLabels are named as Rust names systems, because that is what manifests ask for.
func detectedLabels() map[string]string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	system := map[string]string{"darwin": "macos"}[runtime.GOOS]
	if system == "" {
		system = runtime.GOOS
	}
	family := "unix"
	if runtime.GOOS == "windows" {
		family = "windows"
	}
	return map[string]string{
		lattice.LabelArch: arch, lattice.LabelOS: system, lattice.LabelOSFamily: family,
		lattice.LabelHTTPServer: lattice.HTTPServerLocal,
	}
}

func friendlyName() string {
	adjectives := []string{"brave", "calm", "eager", "gentle", "keen", "lucid", "merry", "quiet", "rapid", "sunny", "tidy", "vivid"}
	nouns := []string{"arbor", "brook", "cedar", "fern", "grove", "ivy", "lattice", "maple", "orchid", "pergola", "vine", "willow"}
	return fmt.Sprintf("%s-%s-%04d", adjectives[rand.N(len(adjectives))], nouns[rand.N(len(nouns))], rand.N(10000))
}
