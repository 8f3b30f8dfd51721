package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
)

var (
	latticeName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	secretsPrefix = regexp.MustCompile(`^(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+$`)
)

// validate returns every fault at once.
func (c *Config) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.APIVersion != APIVersion {
		fault("apiVersion is %q, want %s", c.APIVersion, APIVersion)
	}
	c.validateNATS(fault)
	seen := map[string]bool{}
	for i, l := range c.Lattices {
		if !latticeName.MatchString(l.Name) {
			fault("lattices[%d].name %q is not one NATS token: use letters, digits, '-' and '_'", i, l.Name)
		}
		if seen[l.Name] {
			fault("lattices[%d].name %q is there twice", i, l.Name)
		}
		seen[l.Name] = true
		validateNamespaces(l.Namespaces, fmt.Sprintf("lattices[%d].namespaces", i), fault)
	}
	for i, b := range c.Bindings {
		if !latticeName.MatchString(b.Lattice) {
			fault("bindings[%d].lattice %q is not one NATS token: use letters, digits, '-' and '_'", i, b.Lattice)
		}
		if len(b.Namespaces) == 0 {
			fault("bindings[%d].namespaces is empty: name namespaces, or \"*\" for all", i)
		}
		validateNamespaces(b.Namespaces, fmt.Sprintf("bindings[%d].namespaces", i), fault)
	}
	for lattice, account := range c.Wash.Accounts {
		if !latticeName.MatchString(lattice) || !latticeName.MatchString(account) {
			fault("wash.accounts has lattice %q with account %q, which are not NATS tokens: use letters, digits, '-' and '_'", lattice, account)
		}
	}
	c.validateHosts(fault)
	c.validateSecrets(fault)
	validatePort(c.API.Port, "api.port", fault)
	return errors.Join(faults...)
}

func (c *Config) validateNATS(fault func(string, ...any)) {
	u, err := url.Parse(c.NATS.Address)
	if err != nil || u.Host == "" || u.Port() != "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		fault("nats.address %q is not a URL without port such as nats://nats.default.svc", c.NATS.Address)
	}
	validatePort(c.NATS.ClientPort, "nats.clientPort", fault)
	validatePort(c.NATS.LeafPort, "nats.leafPort", fault)
	if !latticeName.MatchString(c.NATS.Domain) {
		fault("nats.domain %q is not a JetStream domain: use letters, digits, '-' and '_'", c.NATS.Domain)
	}
	if !slices.Contains([]int{1, 3, 5}, c.NATS.Replicas) {
		fault("nats.replicas is %d; it can be 1, 3 or 5", c.NATS.Replicas)
	}
}

func (c *Config) validateHosts(fault func(string, ...any)) {
	if c.Hosts.HelperImage == "" {
		fault("hosts.helperImage is empty: name the Trellis image")
	}
	if !slices.Contains([]string{"", "Always", "IfNotPresent", "Never"}, c.Hosts.ImagePullPolicy) {
		fault("hosts.imagePullPolicy is %q; it can be Always, IfNotPresent or Never", c.Hosts.ImagePullPolicy)
	}
	for i, m := range c.Hosts.Mirrors {
		if m.Prefix == "" || m.Target == "" {
			fault("hosts.mirrors[%d] needs both prefix and target", i)
		}
	}
}

func (c *Config) validateSecrets(fault func(string, ...any)) {
	if !latticeName.MatchString(c.Secrets.Backend) {
		fault("secrets.backend %q is not one NATS token: use letters, digits, '-' and '_'", c.Secrets.Backend)
	}
	if !secretsPrefix.MatchString(c.Secrets.Prefix) {
		fault("secrets.prefix %q is not a NATS subject without wildcards such as wasmcloud.secrets", c.Secrets.Prefix)
	}
}

func validateNamespaces(names []string, field string, fault func(string, ...any)) {
	for _, name := range names {
		if name != "*" && len(validation.IsDNS1123Label(name)) > 0 {
			fault("%s has %q, which is not the name of a namespace", field, name)
		}
	}
}

func validatePort(port int32, field string, fault func(string, ...any)) {
	if port < 1 || port > 65535 {
		fault("%s is %d, which is not a port", field, port)
	}
}
