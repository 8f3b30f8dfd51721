package wasmhost

import (
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
)

// Version is what the host reports of itself: the release of upstream's host whose protocol it speaks. Managers choose
// their behaviour by it; the build's own version is in the label of the same name.
const Version = "1.9.2"

// Config is everything that a host is told. ParseOptions makes one from flags and environment.
type Config struct {
	Lattice       string
	ControlPrefix string
	// Control is the connection for control traffic, events and buckets; RPC the one for providers' subjects.
	Control, RPC natsconn.Config
	JSDomain     string
	// SecretsTopic begins the subjects of backends of secrets; empty means that there are none.
	SecretsTopic   string
	SecretsTimeout time.Duration
	// Seed of the host's key; empty makes a new one.
	Seed   string
	Labels map[string]string

	Heartbeat        time.Duration
	ProviderShutdown time.Duration
	ComponentAuction bool
	ProviderAuction  bool
	// Admin is the address of /livez and /readyz; empty means none.
	Admin string

	AllowFileLoad bool
	Registries    ociwasm.Options
	// RegistryCredentials are those given at start; registry put adds more.
	RegistryCredentials lattice.RegistryCredentials

	MaxExecution     time.Duration
	MaxMemory        int64
	MaxComponentSize int64
	MaxComponents    int
	MaxCoreInstances int64
	// InstanceWait is how long a request waits for one of the component's instances before it is answered with 503.
	InstanceWait time.Duration

	Engine Engine
	Log    logr.Logger
}

// Defaults of upstream's host, and of Trellis where upstream has none.
const (
	DefaultHeartbeat        = 30 * time.Second
	DefaultProviderShutdown = 300 * time.Millisecond
	DefaultMaxExecution     = 10 * time.Minute
	DefaultMaxMemory        = 256 << 20
	DefaultMaxComponentSize = 50 << 20
	DefaultMaxComponents    = 10000
	DefaultMaxCoreInstances = 30
	DefaultInstanceWait     = 10 * time.Second

	defaultShutdown = 10 * time.Second
)

func (c *Config) complete() error {
	setDefault(&c.Lattice, lattice.DefaultLattice)
	setDefault(&c.Heartbeat, DefaultHeartbeat)
	setDefault(&c.ProviderShutdown, DefaultProviderShutdown)
	setDefault(&c.MaxExecution, DefaultMaxExecution)
	setDefault(&c.MaxMemory, DefaultMaxMemory)
	setDefault(&c.MaxComponentSize, DefaultMaxComponentSize)
	setDefault(&c.MaxComponents, DefaultMaxComponents)
	setDefault(&c.MaxCoreInstances, DefaultMaxCoreInstances)
	setDefault(&c.InstanceWait, DefaultInstanceWait)
	setDefault(&c.SecretsTimeout, secret.DefaultTimeout)
	if c.Registries.Transport == nil {
		c.Registries.Transport = http.DefaultTransport
	}
	c.Registries.MaxBytes = c.MaxComponentSize
	if c.SecretsTopic != "" {
		return secret.ValidateTopic(c.SecretsTopic)
	}
	return nil
}

func setDefault[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// newKey returns the host's key: of the seed, or a new one.
func newKey(seed string) (public string, err error) {
	key, err := nkeys.CreateServer()
	if seed != "" {
		key, err = nkeys.FromSeed([]byte(seed))
	}
	if err != nil {
		return "", err
	}
	defer key.Wipe()
	return key.PublicKey()
}
