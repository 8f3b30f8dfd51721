package secrets_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/natsd"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// The pairs of the protocol's vectors.
const (
	hostSeed    = "SXAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB6IC6WE"
	hostKey     = "XAD2G7F4CQQJHSFXKXOBWEHINS2CMN2K2FVKQU7NBPP4BMVYNUOHZWPX"
	backendSeed = "SXACCIRDEQSSMJZIFEVCWLBNFYXTAMJSGM2DKNRXHA4TUOZ4HU7D6QD2VY"
	backendKey  = "XBMGTL7UKBKJOMWLVLWV4XPZWMFG3IY4WDSXIK5NLLKKDJ3I6GTHXST6"
	otherSeed   = "SXAKIYZX2POLIHZ5W5YZEWVTH24NLEUETBW3TKIVYRSS3GNHFXO5D4JJZM"
	otherKey    = "XBUJMZHVOPQ2SK5VD3TY4VNBPVU2YFGRLK6EFPEPSMVDUYEBSROWZCEA"
)

const (
	plainGet = "wasmcloud.secrets.v1alpha1.kube.get"
	plainKey = "wasmcloud.secrets.v1alpha1.kube.server_xkey"
	groupGet = "wasmcloud.secrets.team-a.hosts_eu.v1alpha1.kube.get"

	policyText = `{\"type\":\"properties.secret.wasmcloud.dev/v1alpha1\",\"properties\":{\"namespace\":\"team-a\"}}`
)

// canary is the value of all secrets; it may stand in what is sealed and nowhere else.
const canary = "opensesame"

// keeperFunc is a Keeper.
type keeperFunc func(context.Context, secrets.Question) (secrets.Secret, error)

func (f keeperFunc) Secret(ctx context.Context, q secrets.Question) (secrets.Secret, error) {
	return f(ctx, q)
}

func gives(value string) keeperFunc {
	return func(context.Context, secrets.Question) (secrets.Secret, error) {
		return secrets.Secret{Version: "184467", Value: []byte(value)}, nil
	}
}

// world is what a running server leaves behind.
type world struct {
	mu        sync.Mutex
	decisions []secrets.Decision
	lines     []string
}

func (w *world) Decided(d secrets.Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decisions = append(w.decisions, d)
}

func (w *world) decided() []secrets.Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]secrets.Decision{}, w.decisions...)
}

func (w *world) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

func (w *world) context(ctx context.Context) context.Context {
	return logr.NewContext(ctx, funcr.New(func(_, line string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.lines = append(w.lines, line)
	}, funcr.Options{Verbosity: 1}))
}

// backend is a running server, and host a client of it.
type backend struct {
	*world
	*host
	url    string
	server *secrets.Server
	stop   func() error
}

// start runs a server on a NATS server of its own and returns when it is ready.
func start(t *testing.T, keeper secrets.Keeper, change func(*secrets.Options)) *backend {
	t.Helper()
	url := natsd.Run(t, natsd.Options{}).ClientURL()
	b := serve(t, url, keeper, change)
	b.host = newHost(t, url)
	return b
}

// serve runs a server; it ends with the test, or by stop.
func serve(t *testing.T, url string, keeper secrets.Keeper, change func(*secrets.Options)) *backend {
	t.Helper()
	b := &backend{world: &world{}, url: url}
	o := secrets.Options{
		Conn: connect(t, url), Lattice: "default", Keyring: keyring(t, backendSeed),
		Keeper: keeper, Memory: &memory{}, Auditor: b.world, Burst: 10_000,
	}
	if change != nil {
		change(&o)
	}
	var err error
	if b.server, err = secrets.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.world.context(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.server.Run(ctx) }()
	b.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Errorf("the server ended with: %v", err)
		}
		if strings.Contains(b.log(), canary) {
			t.Error("the log holds a value")
		}
	})
	eventually(t, "the server is ready", b.server.Ready)
	return b
}

func keyring(t *testing.T, seeds ...string) *secrets.Keyring {
	t.Helper()
	keys := make([]secrets.Key, 0, len(seeds))
	for _, seed := range seeds {
		keys = append(keys, secrets.Key{Seed: []byte(seed)})
	}
	ring, err := secrets.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// memory is a Memory of one process; broken makes it answer nothing else.
type memory struct {
	seen   sync.Map
	broken error
}

func (m *memory) First(_ context.Context, key string) (bool, error) {
	_, known := m.seen.LoadOrStore(key, true)
	return !known, m.broken
}

func connect(t *testing.T, url string) *nats.Conn {
	t.Helper()
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URLs: []string{url}, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// host asks as a wasmCloud host does.
type host struct {
	t    *testing.T
	conn *nats.Conn
	pair nkeys.KeyPair
}

func newHost(t *testing.T, url string) *host {
	t.Helper()
	pair, err := nkeys.FromCurveSeed([]byte(hostSeed))
	if err != nil {
		t.Fatal(err)
	}
	return &host{t: t, conn: connect(t, url), pair: pair}
}

// sealed seals a body for a backend.
func (h *host) sealed(body, recipient string) []byte {
	h.t.Helper()
	sealed, err := h.pair.Seal([]byte(body), recipient)
	if err != nil {
		h.t.Fatal(err)
	}
	return sealed
}

func (h *host) request(subject, key string, data []byte) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Header.Set("WasmCloud-Host-Xkey", key)
	msg.Data = data
	return msg
}

func (h *host) send(msg *nats.Msg) *nats.Msg {
	h.t.Helper()
	reply, err := h.conn.RequestMsg(msg, 20*time.Second)
	if err != nil {
		h.t.Fatalf("%s: %v", msg.Subject, err)
	}
	return reply
}

// get asks for a secret and returns the reply as text: opened if it was sealed.
func (h *host) get(subject, body string) string {
	h.t.Helper()
	return h.text(h.send(h.request(subject, hostKey, h.sealed(body, backendKey))))
}

func (h *host) text(reply *nats.Msg) string {
	h.t.Helper()
	key := reply.Header.Get("Server-Response-Xkey")
	if key == "" {
		if len(reply.Header) > 0 {
			h.t.Errorf("an error has headers: %v", reply.Header)
		}
		return string(reply.Data)
	}
	body, err := h.pair.Open(reply.Data, key)
	if err != nil {
		h.t.Fatalf("open the reply: %v", err)
	}
	return string(body)
}

// body is the request of a host, as it writes it.
func body(entity, application string) string {
	return `{"key":"app-secrets","field":"api-password","version":null,"context":{"entity_jwt":"` + entity +
		`","host_jwt":"` + hostToken + `","application":` + application + `}}`
}

// usual is a request in which nothing is special.
func usual() string {
	return body(componentToken, `{"name":"hello-world","policy":"`+policyText+`"}`)
}

const usualReply = `{"secret":{"version":"184467","string_secret":"opensesame","binary_secret":null}}`
