package lattice

import "errors"

var errNoConstraints = errors.New(`member "constraints" is missing`)

// ScaleComponent sets how many invocations of a component may run at once on a host; 0 stops it.
type ScaleComponent struct {
	ComponentID  string `json:"component_id"`
	ComponentRef string `json:"component_ref"`
	// Count is `count` on the wire. Hosts ignore `max_instances`, and take a missing count as 0.
	Count uint32 `json:"count"`
	// Annotations replace those stored, when the command changes anything at all.
	Annotations map[string]string `json:"annotations,omitempty"`
	Limits      map[string]string `json:"component_limits,omitempty"`
	// HostID is copied into events: always fill it.
	HostID string `json:"host_id"`
	// Config are named configurations in order; later ones win key by key.
	Config      List[string] `json:"config"`
	AllowUpdate bool         `json:"allow_update"`
}

// Keys of ScaleComponent.Limits.
const (
	LimitMaxMemory        = "max_memory_limit"
	LimitMaxExecutionTime = "max_execution_time"
)

func (c *ScaleComponent) check() error { return require("component_id", c.ComponentID) }

// UpdateComponent changes the image of a component that runs on a host.
type UpdateComponent struct {
	ComponentID     string `json:"component_id"`
	NewComponentRef string `json:"new_component_ref"`
	// Annotations replace those stored; without them they are wiped.
	Annotations map[string]string `json:"annotations,omitempty"`
	HostID      string            `json:"host_id"`
}

// RefreshComponent has a host fetch the secrets of a component again, without a restart. It is Trellis' own.
type RefreshComponent struct {
	ComponentID string `json:"component_id"`
	HostID      string `json:"host_id"`
}

func (c *RefreshComponent) check() error { return require("component_id", c.ComponentID) }

// ComponentAuction asks hosts whether they would run a component.
type ComponentAuction struct {
	ComponentID  string    `json:"component_id"`
	ComponentRef string    `json:"component_ref"`
	Constraints  StringMap `json:"constraints"`
}

func (a *ComponentAuction) check() error {
	return checkAuction("component_id", a.ComponentID, a.Constraints)
}

// ComponentBid is the answer of a host that would. Match bids by HostID only: hosts up to 1.9.2 put the reference into
// ComponentID, and bid although they run the id already.
type ComponentBid struct {
	HostID       string    `json:"host_id"`
	ComponentID  string    `json:"component_id"`
	ComponentRef string    `json:"component_ref"`
	Constraints  StringMap `json:"constraints"`
}

func (b *ComponentBid) check() error { return require("host_id", b.HostID) }

// ProviderAuction asks hosts whether they would run a provider.
type ProviderAuction struct {
	ProviderID  string    `json:"provider_id"`
	ProviderRef string    `json:"provider_ref"`
	Constraints StringMap `json:"constraints"`
}

func (a *ProviderAuction) check() error {
	return checkAuction("provider_id", a.ProviderID, a.Constraints)
}

// ProviderBid is the answer of a host that would.
type ProviderBid struct {
	HostID      string    `json:"host_id"`
	ProviderID  string    `json:"provider_id"`
	ProviderRef string    `json:"provider_ref"`
	Constraints StringMap `json:"constraints"`
}

func (b *ProviderBid) check() error { return require("host_id", b.HostID) }

func checkAuction(member, id string, constraints StringMap) error {
	if constraints == nil {
		return errNoConstraints
	}
	return require(member, id)
}

// StartProvider starts a provider on a host.
type StartProvider struct {
	ProviderID  string `json:"provider_id"`
	ProviderRef string `json:"provider_ref"`
	// HostID is copied into events: always fill it.
	HostID      string            `json:"host_id"`
	Config      List[string]      `json:"config"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (c *StartProvider) check() error { return require("provider_id", c.ProviderID) }

// StopProvider stops a provider on a host. Without HostID the provider ignores its shutdown and is killed.
type StopProvider struct {
	HostID     string `json:"host_id"`
	ProviderID string `json:"provider_id"`
}

// UnmarshalJSON accepts the old member name `provider_ref` for the id.
func (c *StopProvider) UnmarshalJSON(data []byte) error {
	var w struct {
		HostID      string `json:"host_id"`
		ProviderID  string `json:"provider_id"`
		ProviderRef string `json:"provider_ref"`
	}
	if err := unmarshal(data, &w); err != nil {
		return err
	}
	if w.ProviderID == "" {
		w.ProviderID = w.ProviderRef
	}
	*c = StopProvider{HostID: w.HostID, ProviderID: w.ProviderID}
	return nil
}

// StopHost ends a host. The body may be absent altogether.
type StopHost struct {
	// HostID, where set, must be the host's own.
	HostID string `json:"host_id"`
	// Timeout is the deadline of the shutdown in milliseconds; absent means 10 s.
	Timeout *uint64 `json:"timeout,omitempty"`
}

// PutLabel sets a label of a host until it restarts.
type PutLabel struct {
	Key   string  `json:"key"`
	Value *string `json:"value"`
}

func (c *PutLabel) check() error {
	if c.Value == nil {
		return errors.New(`member "value" is missing`)
	}
	return require("key", c.Key)
}

// DeleteLabel removes a label of a host.
type DeleteLabel struct {
	Key string `json:"key"`
}

func (c *DeleteLabel) check() error { return require("key", c.Key) }

// Config is the content of a named configuration, also as stored in the lattice's bucket.
type Config = StringMap

// RegistryCredentials is the body of registry put: credentials by registry authority (`host[:port]`).
type RegistryCredentials map[string]RegistryCredential

// RegistryCredential gives access to one registry. Hosts 1.9 treat a token alone as anonymous.
type RegistryCredential struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
	Type     string `json:"registryType,omitempty"`
}
