package lattice

import (
	"fmt"
	"strings"
)

// DefaultControlPrefix is the first part of control subjects of hosts that are not told otherwise.
const DefaultControlPrefix = "wasmbus.ctl"

const controlVersion = "v1"

// Subjects makes the control subjects of one lattice. Build it with NewSubjects.
type Subjects struct {
	lattice string
	base    string // {prefix}.v1.{lattice}
}

// NewSubjects checks prefix and lattice; an empty prefix is the default one.
func NewSubjects(prefix, lattice string) (Subjects, error) {
	if prefix == "" {
		prefix = DefaultControlPrefix
	}
	if err := validatePrefix(prefix); err != nil {
		return Subjects{}, err
	}
	if err := ValidateName(lattice); err != nil {
		return Subjects{}, err
	}
	return Subjects{lattice: lattice, base: prefix + "." + controlVersion + "." + lattice}, nil
}

// Lattice is the name of the lattice.
func (s Subjects) Lattice() string { return s.lattice }

// HostPing asks every host who it is.
func (s Subjects) HostPing() string { return s.base + ".host.ping" }

// HostGet asks one host for its inventory.
func (s Subjects) HostGet(host string) (string, error) { return s.toHost("host.get", host) }

// HostStop ends one host.
func (s Subjects) HostStop(host string) (string, error) { return s.toHost("host.stop", host) }

// LabelPut sets a label of one host.
func (s Subjects) LabelPut(host string) (string, error) { return s.toHost("label.put", host) }

// LabelDelete removes a label of one host.
func (s Subjects) LabelDelete(host string) (string, error) { return s.toHost("label.del", host) }

// ComponentAuction asks which hosts would run a component.
func (s Subjects) ComponentAuction() string { return s.base + ".component.auction" }

// ComponentScale sets the number of instances of a component on one host.
func (s Subjects) ComponentScale(host string) (string, error) {
	return s.toHost("component.scale", host)
}

// ComponentUpdate changes the image of a component on one host.
func (s Subjects) ComponentUpdate(host string) (string, error) {
	return s.toHost("component.update", host)
}

// ComponentRefresh has one host fetch the secrets of a component again. It is an operation of Trellis' own: only trellis-host
// has it, and others answer MessageUnsupportedSubject.
func (s Subjects) ComponentRefresh(host string) (string, error) {
	return s.toHost("component.refresh", host)
}

// ProviderAuction asks which hosts would run a provider.
func (s Subjects) ProviderAuction() string { return s.base + ".provider.auction" }

// ProviderStart starts a provider on one host.
func (s Subjects) ProviderStart(host string) (string, error) {
	return s.toHost("provider.start", host)
}

// ProviderStop stops a provider on one host.
func (s Subjects) ProviderStop(host string) (string, error) { return s.toHost("provider.stop", host) }

// LinkPut, LinkDelete and LinkGet are answered by any one host.
func (s Subjects) LinkPut() string { return s.base + ".link.put" }

// LinkDelete removes a link.
func (s Subjects) LinkDelete() string { return s.base + ".link.del" }

// LinkGet lists all links of the lattice.
func (s Subjects) LinkGet() string { return s.base + ".link.get" }

// ConfigPut stores a named configuration.
func (s Subjects) ConfigPut(name string) (string, error) { return s.ofConfig("put", name) }

// ConfigGet reads a named configuration.
func (s Subjects) ConfigGet(name string) (string, error) { return s.ofConfig("get", name) }

// ConfigDelete removes a named configuration.
func (s Subjects) ConfigDelete(name string) (string, error) { return s.ofConfig("del", name) }

// ClaimsGet lists the claims of signed components and providers.
func (s Subjects) ClaimsGet() string { return s.base + ".claims.get" }

// RegistryPut gives every host registry credentials.
func (s Subjects) RegistryPut() string { return s.base + ".registry.put" }

func (s Subjects) toHost(operation, host string) (string, error) {
	if err := ValidateHostID(host); err != nil {
		return "", fmt.Errorf("make the subject of %s: %w", operation, err)
	}
	return s.base + "." + operation + "." + host, nil
}

func (s Subjects) ofConfig(verb, name string) (string, error) {
	if err := ValidateConfigName(name); err != nil {
		return "", fmt.Errorf("make the subject of config.%s: %w", verb, err)
	}
	return s.base + ".config." + verb + "." + name, nil
}

// Operation is a control subject taken apart.
type Operation struct {
	// Noun and Verb, for instance "component" and "scale".
	Noun, Verb string
	// Object is the host id or configuration name; empty where the operation has none.
	Object string
}

// operations says which nouns and verbs exist and which of them carry an object.
var operations = map[string]bool{
	"host.ping": false, "host.get": true, "host.stop": true,
	"label.put": true, "label.del": true,
	"component.auction": false, "component.scale": true, "component.update": true, "component.refresh": true,
	"provider.auction": false, "provider.start": true, "provider.stop": true,
	"link.put": false, "link.del": false, "link.get": false,
	"config.put": true, "config.get": true, "config.del": true,
	"claims.get": false, "registry.put": false,
}

// Parse takes a control subject apart. Everything that is no operation of this lattice is ErrUnsupportedSubject, which
// is also what a host answers.
func (s Subjects) Parse(subject string) (Operation, error) {
	tail, ok := strings.CutPrefix(subject, s.base+".")
	tokens := strings.Split(tail, ".")
	if !ok || len(tokens) < 2 || len(tokens) > 3 {
		return Operation{}, ErrUnsupportedSubject
	}
	op := Operation{Noun: tokens[0], Verb: tokens[1]}
	withObject, known := operations[op.Noun+"."+op.Verb]
	if !known || withObject != (len(tokens) == 3) {
		return Operation{}, ErrUnsupportedSubject
	}
	if withObject {
		op.Object = tokens[2]
	}
	return op, nil
}
