package wasmhost

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/internal/wasmhost/secret"
)

// item is one setting: its flags, its variable, and where it goes.
type item struct {
	flags   []string
	env     string
	help    string
	set     func(string) error
	isBool  bool // as a flag it takes no value
	ignored bool // upstream's, without effect here
	text    string
}

// Set, String and IsBoolFlag make an item a flag.Value.
func (i *item) Set(v string) error { i.text = v; return i.set(v) }
func (i *item) String() string     { return i.text }
func (i *item) IsBoolFlag() bool   { return i.isBool }

func (i *item) usage() string {
	help := i.help
	if i.ignored {
		help += " (without effect in trellis-host)"
	}
	if i.env != "" {
		help += " [" + i.env + "]"
	}
	return help
}

type options struct{ items []*item }

func (o *options) add(flags, env, help string, set func(string) error) *item {
	i := &item{flags: strings.Fields(flags), env: env, help: help, set: set}
	o.items = append(o.items, i)
	return i
}

func (o *options) text(into *string, flags, env, fallback, help string) {
	*into = fallback
	o.add(flags, env, help, func(v string) error { *into = v; return nil }).text = fallback
}

func (o *options) number(into *uint64, flags, env string, fallback uint64, help string) {
	*into = fallback
	o.add(flags, env, help, func(v string) error {
		n, err := strconv.ParseUint(v, 10, 63)
		if err != nil {
			return fmt.Errorf("%q is no whole number", v)
		}
		*into = n
		return nil
	}).text = strconv.FormatUint(fallback, 10)
}

// toggle takes true and false; only as a switch may the value be left out.
func (o *options) toggle(into *bool, flags, env string, fallback, isSwitch bool, help string) {
	*into = fallback
	i := o.add(flags, env, help, func(v string) error {
		if v != "true" && v != "false" {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		*into = v == "true"
		return nil
	})
	i.isBool, i.text = isSwitch, strconv.FormatBool(fallback)
}

func (o *options) list(into *list, flags, env, help string) {
	o.add(flags, env, help, func(v string) error {
		*into = append(*into, strings.Split(v, ",")...)
		return nil
	})
}

func (o *options) ignore(flags, env, help string, isSwitch bool) {
	i := o.add(flags, env, help, func(string) error { return nil })
	i.ignored, i.isBool = true, isSwitch
}

// newOptions is the table of lattice.md §6.1, in its order.
func newOptions(r *raw) *options {
	o := &options{}
	o.text(&r.logLevel, "log-level structured-log-level", "WASMCLOUD_LOG_LEVEL", "info", "error, warn, info, debug or trace")
	o.toggle(&r.structured, "enable-structured-logging", "WASMCLOUD_STRUCTURED_LOGGING_ENABLED", false, true, "log in JSON")
	o.text(&r.lattice, "lattice x", "WASMCLOUD_LATTICE", "default", "name of the lattice")
	o.text(&r.natsHost, "nats-host", "WASMCLOUD_NATS_HOST", "127.0.0.1", "NATS host")
	o.text(&r.natsPort, "nats-port", "WASMCLOUD_NATS_PORT", "4222", "NATS port")
	o.text(&r.natsJWT, "nats-jwt", "WASMCLOUD_NATS_JWT", "", "NATS user JWT; needs the seed")
	o.text(&r.natsSeed, "nats-seed", "WASMCLOUD_NATS_SEED", "", "NATS user seed")
	o.text(&r.natsCreds, "nats-creds", "WASMCLOUD_NATS_CREDS", "", "NATS credentials file")
	o.text(&r.ctlHost, "ctl-host", "WASMCLOUD_CTL_HOST", "", "NATS host of the control connection")
	o.text(&r.ctlPort, "ctl-port", "WASMCLOUD_CTL_PORT", "", "NATS port of the control connection")
	o.text(&r.ctlJWT, "ctl-jwt", "WASMCLOUD_CTL_JWT", "", "NATS user JWT of the control connection")
	o.text(&r.ctlSeed, "ctl-seed", "WASMCLOUD_CTL_SEED", "", "NATS user seed of the control connection")
	o.text(&r.ctlCreds, "ctl-creds", "WASMCLOUD_CTL_CREDS", "", "NATS credentials file of the control connection")
	o.toggle(&r.ctlTLS, "ctl-tls", "WASMCLOUD_CTL_TLS", false, true, "require TLS on the control connection")
	o.text(&r.controlPrefix, "ctl-topic-prefix", "WASMCLOUD_CTL_TOPIC_PREFIX", "wasmbus.ctl", "prefix of control subjects")
	o.text(&r.rpcHost, "rpc-host", "WASMCLOUD_RPC_HOST", "", "NATS host of the RPC connection")
	o.text(&r.rpcPort, "rpc-port", "WASMCLOUD_RPC_PORT", "", "NATS port of the RPC connection")
	o.text(&r.rpcJWT, "rpc-jwt", "WASMCLOUD_RPC_JWT", "", "NATS user JWT of the RPC connection")
	o.text(&r.rpcSeed, "rpc-seed", "WASMCLOUD_RPC_SEED", "", "NATS user seed of the RPC connection")
	o.text(&r.rpcCreds, "rpc-creds", "WASMCLOUD_RPC_CREDS", "", "NATS credentials file of the RPC connection")
	o.toggle(&r.rpcTLS, "rpc-tls", "WASMCLOUD_RPC_TLS", false, true, "require TLS on the RPC connection")
	o.text(&r.jsDomain, "js-domain wasmcloud-js-domain", "WASMCLOUD_JS_DOMAIN", "", "JetStream domain of the buckets")
	o.text(&r.seed, "host-seed", "WASMCLOUD_HOST_SEED", "", "server seed (SN...) that fixes the host's id")
	o.list(&r.labels, "label l", "", "a label, key=value; repeatable")
	o.number(&r.shutdownMS, "provider-shutdown-delay-ms provider-shutdown-delay", "WASMCLOUD_PROV_SHUTDOWN_DELAY_MS",
		uint64(DefaultProviderShutdown/time.Millisecond), "grace of a provider that is stopped")
	o.toggle(&r.allowFile, "allow-file-load", "WASMCLOUD_ALLOW_FILE_LOAD", false, true, "allow file:// references")
	o.toggle(&r.allowLatest, "allow-latest", "WASMCLOUD_OCI_ALLOW_LATEST", false, true, "allow the tag latest")
	o.list(&r.insecure, "allowed-insecure", "WASMCLOUD_OCI_ALLOWED_INSECURE", "registries to speak plain HTTP to")
	o.text(&r.ociRegistry, "oci-registry", "WASMCLOUD_OCI_REGISTRY", "", "registry that the user and password are for")
	o.text(&r.ociUser, "oci-user", "WASMCLOUD_OCI_REGISTRY_USER", "", "user at the registry")
	o.text(&r.ociPassword, "oci-password", "WASMCLOUD_OCI_REGISTRY_PASSWORD", "", "password at the registry")
	o.list(&r.caPaths, "tls-ca-path", "WASMCLOUD_TLS_CA_PATH", "PEM files of more certificate authorities for registries")
	o.number(&r.executionMS, "max-execution-time-ms max-execution-time", "WASMCLOUD_MAX_EXECUTION_TIME_MS",
		uint64(DefaultMaxExecution/time.Millisecond), "longest execution of one request; whole seconds")
	o.number(&r.memory, "max-linear-memory-bytes", "WASMCLOUD_MAX_LINEAR_MEMORY", DefaultMaxMemory, "memory of one instance")
	o.number(&r.size, "max-component-size-bytes", "WASMCLOUD_MAX_COMPONENT_SIZE", DefaultMaxComponentSize, "largest component")
	o.number(&r.count, "max-components", "WASMCLOUD_MAX_COMPONENTS", DefaultMaxComponents, "most components on this host")
	o.number(&r.cores, "max-core-instances-per-component", "WASMCLOUD_MAX_CORE_INSTANCES_PER_COMPONENT", DefaultMaxCoreInstances, "most core instances of a component")
	o.number(&r.heartbeat, "heartbeat-interval-seconds", "WASMCLOUD_HEARTBEAT_INTERVAL", uint64(DefaultHeartbeat/time.Second), "seconds between heartbeats")
	o.text(&r.admin, "http-admin", "WASMCLOUD_HTTP_ADMIN", "", "IP:port of /livez and /readyz")
	o.toggle(&r.componentAuction, "enable-component-auction", "WASMCLOUD_COMPONENT_AUCTION_ENABLED", true, false, "take part in component auctions")
	o.toggle(&r.providerAuction, "enable-provider-auction", "WASMCLOUD_PROVIDER_AUCTION_ENABLED", true, false, "take part in provider auctions")
	o.list(&r.features, "feature", "WASMCLOUD_EXPERIMENTAL_FEATURES", "experimental features; builtin-http-server is always on")
	o.add("secrets-topic", "WASMCLOUD_SECRETS_TOPIC", "prefix of the subjects of secrets backends; without one no secret can be had", func(v string) error {
		r.secretsTopic = v
		return secret.ValidateTopic(v)
	})
	o.text(&r.mirrors, "oci-mirrors", "TRELLIS_OCI_MIRRORS", "", "mirrors of registries, prefix=host:port/prefix, divided by commas")
	o.text(&r.cacheDir, "cache-dir", "TRELLIS_CACHE_DIR", "", "folder for compiled code (default: trellis-host in the folder for temporary files)")
	o.number(&r.waitMS, "instance-wait-ms", "TRELLIS_INSTANCE_WAIT_MS", uint64(DefaultInstanceWait/time.Millisecond), "how long a request waits for an instance before 503")
	addIgnored(o)
	return o
}

// addIgnored declares what upstream's host knows and this one has no use for.
func addIgnored(o *options) {
	for _, i := range []struct {
		flag, env string
		isSwitch  bool
	}{
		{"trace-level", "WASMCLOUD_TRACE_LEVEL", false},
		{"rpc-timeout-ms", "WASMCLOUD_RPC_TIMEOUT_MS", false},
		{"config-service-enabled", "WASMCLOUD_CONFIG_SERVICE", true},
		{"policy-topic", "WASMCLOUD_POLICY_TOPIC", false},
		{"policy-changes-topic", "WASMCLOUD_POLICY_CHANGES_TOPIC", false},
		{"policy-timeout-ms", "WASMCLOUD_POLICY_TIMEOUT", false},
		{"enable-observability", "WASMCLOUD_OBSERVABILITY_ENABLED", true},
		{"enable-traces", "WASMCLOUD_TRACES_ENABLED", false},
		{"enable-metrics", "WASMCLOUD_METRICS_ENABLED", false},
		{"enable-logs", "WASMCLOUD_LOGS_ENABLED", false},
		{"override-observability-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", false},
		{"override-traces-endpoint", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", false},
		{"override-metrics-endpoint", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", false},
		{"override-logs-endpoint", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", false},
		{"observability-protocol", "WASMCLOUD_OBSERVABILITY_PROTOCOL", false},
		{"flame-graph", "WASMCLOUD_FLAME_GRAPH", false},
	} {
		o.ignore(i.flag, i.env, "as upstream's", i.isSwitch)
	}
}

// leftOver finds what was given and has no effect.
func (o *options) leftOver(env map[string]string, flags *flag.FlagSet, features []string) (ignored, unknown []string) {
	known := map[string]bool{}
	for _, i := range o.items {
		known[i.env] = true
		if _, set := env[i.env]; i.ignored && set && i.env != "" {
			ignored = append(ignored, i.env)
		}
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Value.(*item).ignored {
			ignored = append(ignored, "--"+f.Name)
		}
	})
	for name := range env {
		if ours(name) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	for _, f := range features {
		if f = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(f), "_", "-")); f != "" && f != "builtin-http-server" {
			ignored = append(ignored, "feature "+f)
		}
	}
	slices.Sort(ignored)
	slices.Sort(unknown)
	return ignored, unknown
}

// ours tells whether a variable is meant for a host. Kubernetes puts variables for each Service into every container;
// a Service called trellis makes some that look like ours.
func ours(name string) bool {
	if strings.HasPrefix(name, "TRELLIS_") {
		return !strings.Contains(name, "_SERVICE_") && !strings.Contains(name, "_PORT")
	}
	return strings.HasPrefix(name, "WASMCLOUD_") && !strings.HasPrefix(name, labelPrefix)
}
