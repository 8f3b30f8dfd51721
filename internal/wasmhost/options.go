package wasmhost

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/natsconn"
	"github.com/trellis-operator/trellis/internal/ociwasm"
)

// labelPrefix begins environment variables that set a label; the rest of the name is the label's, case kept.
const labelPrefix = "WASMCLOUD_LABEL_"

// Settings are what the command line and the environment said beside the Config.
type Settings struct {
	// LogLevel is error, warn, info, debug or trace; Structured asks for JSON.
	LogLevel   string
	Structured bool
	// CacheDir is where compiled code is kept.
	CacheDir string
	// Ignored are settings that upstream's host knows and this one does nothing with; Unknown are variables and
	// experimental features that nobody knows.
	Ignored, Unknown []string
}

// raw holds the settings as they were given.
type raw struct {
	logLevel, lattice, controlPrefix, jsDomain, seed, admin        string
	secretsTopic                                                   string
	natsHost, natsPort, natsJWT, natsSeed, natsCreds               string
	ctlHost, ctlPort, ctlJWT, ctlSeed, ctlCreds                    string
	rpcHost, rpcPort, rpcJWT, rpcSeed, rpcCreds                    string
	structured, ctlTLS, rpcTLS, allowFile, allowLatest             bool
	labels, insecure, caPaths, features                            list
	ociRegistry, ociUser, ociPassword, mirrors, cacheDir           string
	heartbeat, shutdownMS, executionMS, memory, size, count, cores uint64
	waitMS                                                         uint64
	componentAuction, providerAuction                              bool
}

type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// ParseOptions reads the flags and environment variables of upstream's host, and TRELLIS_* for what it does not have.
// Flags win. Everything wrong is reported at once.
func ParseOptions(args, environ []string, output io.Writer) (Config, Settings, error) {
	r := &raw{}
	o := newOptions(r)
	env := environment(environ)
	var problems []error
	for _, item := range o.items {
		if v, ok := env[item.env]; ok && item.env != "" {
			if err := item.set(v); err != nil {
				problems = append(problems, fmt.Errorf("%s=%q: %w", item.env, v, err))
			}
		}
	}
	flags := o.flagSet(output)
	if err := flags.Parse(args); err != nil {
		return Config{}, Settings{}, err
	}
	if flags.NArg() > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	s := Settings{LogLevel: strings.ToLower(r.logLevel), Structured: r.structured, CacheDir: r.cacheDir}
	s.Ignored, s.Unknown = o.leftOver(env, flags, r.features)
	c, err := r.config(env)
	return c, s, errors.Join(append(problems, err)...)
}

func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok {
			env[k] = v
		}
	}
	return env
}

func (r *raw) config(env map[string]string) (Config, error) {
	var problems []error
	check := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	c := Config{
		Lattice: r.lattice, ControlPrefix: r.controlPrefix, JSDomain: r.jsDomain, Seed: r.seed, Admin: r.admin, SecretsTopic: r.secretsTopic,
		Heartbeat: seconds(r.heartbeat), ProviderShutdown: millis(r.shutdownMS),
		ComponentAuction: r.componentAuction, ProviderAuction: r.providerAuction, AllowFileLoad: r.allowFile,
		MaxExecution: max(time.Second, millis(r.executionMS).Truncate(time.Second)), MaxMemory: int64(r.memory),
		MaxComponentSize: int64(r.size), MaxComponents: int(r.count), MaxCoreInstances: int64(r.cores), InstanceWait: millis(r.waitMS),
	}
	var err error
	c.Labels, err = r.labelMap(env)
	check(err)
	c.Control, err = r.connection("ctl", r.ctlHost, r.ctlPort, r.ctlJWT, r.ctlSeed, r.ctlCreds, r.ctlTLS)
	check(err)
	c.RPC, err = r.connection("rpc", r.rpcHost, r.rpcPort, r.rpcJWT, r.rpcSeed, r.rpcCreds, r.rpcTLS)
	check(err)
	c.Registries, err = r.registries()
	check(err)
	c.RegistryCredentials, err = r.credentials()
	check(err)
	check(lattice.ValidateName(r.lattice))
	return c, errors.Join(problems...)
}

// labelMap: a flag wins over the same label of the environment.
func (r *raw) labelMap(env map[string]string) (map[string]string, error) {
	labels := map[string]string{}
	for name, value := range env {
		if key, ok := strings.CutPrefix(name, labelPrefix); ok && key != "" {
			labels[key] = value
		}
	}
	for _, l := range r.labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" || strings.Contains(value, "=") {
			return nil, fmt.Errorf("--label %q: write it key=value", l)
		}
		labels[key] = value
	}
	return labels, nil
}

func (r *raw) connection(name, host, port, jwt, seed, creds string, useTLS bool) (natsconn.Config, error) {
	host, port = first(host, r.natsHost), first(port, r.natsPort)
	if jwt == "" && seed == "" && creds == "" {
		jwt, seed, creds = r.natsJWT, r.natsSeed, r.natsCreds
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return natsconn.Config{}, fmt.Errorf("the NATS port %q of the %s connection is no port", port, name)
	}
	scheme := "nats"
	if useTLS {
		scheme = "tls"
	}
	c := natsconn.Config{URLs: []string{scheme + "://" + net.JoinHostPort(host, port)}, Name: "wasmbus", CredsFile: creds}
	if (jwt == "") != (seed == "") {
		return c, fmt.Errorf("the %s connection has a JWT or a seed without the other", name)
	}
	if jwt == "" {
		return c, nil
	}
	if creds != "" {
		return c, fmt.Errorf("the %s connection has a JWT and a credentials file; give one of them", name)
	}
	// The one form that the project connects with; a file of it would outlive a host that is killed.
	c.Creds = fmt.Appendf(nil, "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"+
		"-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", jwt, seed)
	return c, nil
}

func (r *raw) registries() (ociwasm.Options, error) {
	mirrors, err := ociwasm.ParseMirrors(r.mirrors)
	if err != nil {
		return ociwasm.Options{}, err
	}
	o := ociwasm.Options{Mirrors: mirrors, AllowLatest: r.allowLatest}
	for _, host := range r.insecure {
		o.Insecure = append(o.Insecure, strings.TrimSpace(host))
	}
	if len(r.caPaths) > 0 {
		o.Transport, err = transportWith(r.caPaths)
	}
	return o, err
}

func (r *raw) credentials() (lattice.RegistryCredentials, error) {
	given := []string{r.ociRegistry, r.ociUser, r.ociPassword}
	switch set := len(slices.DeleteFunc(slices.Clone(given), func(s string) bool { return s == "" })); set {
	case 0:
		return nil, nil
	case len(given):
		return lattice.RegistryCredentials{r.ociRegistry: {Username: r.ociUser, Password: r.ociPassword}}, nil
	default:
		return nil, errors.New("registry credentials need all of --oci-registry, --oci-user and --oci-password")
	}
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func seconds(n uint64) time.Duration { return time.Duration(min(n, 1<<32)) * time.Second }
func millis(n uint64) time.Duration  { return time.Duration(min(n, 1<<40)) * time.Millisecond }

// flagSet declares every flag, the ignored ones too, so that a command line for upstream's host works.
func (o *options) flagSet(output io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("trellis-host", flag.ContinueOnError)
	flags.SetOutput(output)
	for _, item := range o.items {
		for _, name := range item.flags {
			flags.Var(item, name, item.usage())
		}
	}
	return flags
}
