package lattice

import "encoding/json"

// HostStarted: a host is up; it runs nothing yet.
type HostStarted struct {
	FriendlyName  string    `json:"friendly_name"`
	Labels        StringMap `json:"labels"`
	UptimeSeconds uint64    `json:"uptime_seconds"`
	Version       string    `json:"version"`
}

// HostHeartbeat carries the whole inventory, every 30 s by default.
type HostHeartbeat struct{ Inventory }

// UnmarshalJSON reads the inventory.
func (h *HostHeartbeat) UnmarshalJSON(data []byte) error { return h.Inventory.UnmarshalJSON(data) }

// HostStopped: a host ended in good order.
type HostStopped struct {
	Labels StringMap `json:"labels"`
}

// LabelsChanged carries all labels after the change.
type LabelsChanged struct {
	HostID string    `json:"host_id"`
	Labels StringMap `json:"labels"`
}

// ComponentScaled: a component now has this limit on the host, 0 when it no longer runs. It comes twice at a first
// start, and with the annotations and image of before for a component that ran already. After an update a last one says
// 0 although the component runs: read the inventory then.
type ComponentScaled struct {
	PublicKey    string       `json:"public_key,omitempty"`
	Claims       *EventClaims `json:"claims,omitempty"`
	Annotations  StringMap    `json:"annotations"`
	HostID       string       `json:"host_id"`
	ImageRef     string       `json:"image_ref"`
	MaxInstances uint32       `json:"max_instances"`
	ComponentID  string       `json:"component_id"`
}

func (c *ComponentScaled) check() error { return require("component_id", c.ComponentID) }

// ComponentScaleFailed says why a scale command had no effect.
type ComponentScaleFailed struct {
	PublicKey    string    `json:"public_key,omitempty"`
	Annotations  StringMap `json:"annotations"`
	HostID       string    `json:"host_id"`
	ImageRef     string    `json:"image_ref"`
	MaxInstances uint32    `json:"max_instances"`
	ComponentID  string    `json:"component_id"`
	Error        string    `json:"error"`
}

func (c *ComponentScaleFailed) check() error { return require("component_id", c.ComponentID) }

// ProviderStarted: the provider's process or task was started; it need not be healthy or linked yet.
type ProviderStarted struct {
	HostID string `json:"host_id"`
	// ImageRef has its scheme removed.
	ImageRef    string       `json:"image_ref"`
	ProviderID  string       `json:"provider_id"`
	Annotations StringMap    `json:"annotations"`
	Claims      *EventClaims `json:"claims,omitempty"`
	// InstanceID, PublicKey and LinkName are leftovers of old hosts; absent for builtin providers.
	InstanceID string `json:"instance_id,omitempty"`
	PublicKey  string `json:"public_key,omitempty"`
	LinkName   string `json:"link_name,omitempty"`
}

func (p *ProviderStarted) check() error { return require("provider_id", p.ProviderID) }

// ProviderStartFailed says why a provider did not start. ProviderRef is as requested, scheme kept.
type ProviderStartFailed struct {
	ProviderRef string `json:"provider_ref"`
	ProviderID  string `json:"provider_id"`
	HostID      string `json:"host_id"`
	Error       string `json:"error"`
	LinkName    string `json:"link_name,omitempty"`
}

func (p *ProviderStartFailed) check() error { return require("provider_id", p.ProviderID) }

// ProviderStopped: the provider no longer runs on the host.
type ProviderStopped struct {
	HostID      string    `json:"host_id"`
	ProviderID  string    `json:"provider_id"`
	Annotations StringMap `json:"annotations"`
	Reason      string    `json:"reason"`
	InstanceID  string    `json:"instance_id,omitempty"`
	PublicKey   string    `json:"public_key,omitempty"`
	LinkName    string    `json:"link_name,omitempty"`
}

func (p *ProviderStopped) check() error { return require("provider_id", p.ProviderID) }

// HealthCheckPassed: the provider answers that it is healthy, for the first time or again.
type HealthCheckPassed struct {
	HostID     string `json:"host_id"`
	ProviderID string `json:"provider_id"`
}

// HealthCheckFailed: the provider answers that it no longer is.
type HealthCheckFailed HealthCheckPassed

// HealthCheckStatus: nothing changed.
type HealthCheckStatus HealthCheckPassed

// LinkSet: a link was stored.
type LinkSet struct{ Link }

// UnmarshalJSON reads the link.
func (l *LinkSet) UnmarshalJSON(data []byte) error { return l.Link.UnmarshalJSON(data) }

// LinkSetFailed says why a link was not stored.
type LinkSetFailed struct {
	Link
	Error string `json:"error"`
}

// UnmarshalJSON reads the link and the error.
func (l *LinkSetFailed) UnmarshalJSON(data []byte) error {
	var w struct {
		Error string `json:"error"`
	}
	if err := unmarshal(data, &w); err != nil {
		return err
	}
	l.Error = w.Error
	return l.Link.UnmarshalJSON(data)
}

// LinkDeleted: a link was removed. Target and Interfaces are absent when there was none.
type LinkDeleted struct {
	SourceID     string   `json:"source_id"`
	Target       string   `json:"target,omitempty"`
	Name         string   `json:"name"`
	WitNamespace string   `json:"wit_namespace"`
	WitPackage   string   `json:"wit_package"`
	Interfaces   []string `json:"interfaces,omitempty"`
}

func (l *LinkDeleted) check() error { return require("source_id", l.SourceID) }

// ConfigSet: a named configuration was stored.
type ConfigSet struct {
	ConfigName string `json:"config_name"`
}

func (c *ConfigSet) check() error { return require("config_name", c.ConfigName) }

// ConfigDeleted: a named configuration was removed.
type ConfigDeleted struct {
	ConfigName string `json:"config_name"`
}

func (c *ConfigDeleted) check() error { return require("config_name", c.ConfigName) }

// UnknownEvent is an event of a kind that is not listed here.
type UnknownEvent struct {
	Kind EventKind
	Raw  json.RawMessage
}

// MarshalJSON writes the body as it was.
func (u UnknownEvent) MarshalJSON() ([]byte, error) { return u.Raw.MarshalJSON() }

func (HostStarted) eventKind() EventKind          { return KindHostStarted }
func (HostHeartbeat) eventKind() EventKind        { return KindHostHeartbeat }
func (HostStopped) eventKind() EventKind          { return KindHostStopped }
func (LabelsChanged) eventKind() EventKind        { return KindLabelsChanged }
func (ComponentScaled) eventKind() EventKind      { return KindComponentScaled }
func (ComponentScaleFailed) eventKind() EventKind { return KindComponentScaleFailed }
func (ProviderStarted) eventKind() EventKind      { return KindProviderStarted }
func (ProviderStartFailed) eventKind() EventKind  { return KindProviderStartFailed }
func (ProviderStopped) eventKind() EventKind      { return KindProviderStopped }
func (HealthCheckPassed) eventKind() EventKind    { return KindHealthCheckPassed }
func (HealthCheckFailed) eventKind() EventKind    { return KindHealthCheckFailed }
func (HealthCheckStatus) eventKind() EventKind    { return KindHealthCheckStatus }
func (LinkSet) eventKind() EventKind              { return KindLinkSet }
func (LinkSetFailed) eventKind() EventKind        { return KindLinkSetFailed }
func (LinkDeleted) eventKind() EventKind          { return KindLinkDeleted }
func (ConfigSet) eventKind() EventKind            { return KindConfigSet }
func (ConfigDeleted) eventKind() EventKind        { return KindConfigDeleted }
func (u UnknownEvent) eventKind() EventKind       { return u.Kind }

var eventDecoders = map[EventKind]func([]byte) (EventData, error){
	KindHostStarted:          decodeAs[HostStarted],
	KindHostHeartbeat:        decodeAs[HostHeartbeat],
	KindHostStopped:          decodeAs[HostStopped],
	KindLabelsChanged:        decodeAs[LabelsChanged],
	KindComponentScaled:      decodeAs[ComponentScaled],
	KindComponentScaleFailed: decodeAs[ComponentScaleFailed],
	KindProviderStarted:      decodeAs[ProviderStarted],
	KindProviderStartFailed:  decodeAs[ProviderStartFailed],
	KindProviderStopped:      decodeAs[ProviderStopped],
	KindHealthCheckPassed:    decodeAs[HealthCheckPassed],
	KindHealthCheckFailed:    decodeAs[HealthCheckFailed],
	KindHealthCheckStatus:    decodeAs[HealthCheckStatus],
	KindLinkSet:              decodeAs[LinkSet],
	KindLinkSetFailed:        decodeAs[LinkSetFailed],
	KindLinkDeleted:          decodeAs[LinkDeleted],
	KindConfigSet:            decodeAs[ConfigSet],
	KindConfigDeleted:        decodeAs[ConfigDeleted],
}

func decodeEventData(kind EventKind, data []byte) (EventData, error) {
	if decode, ok := eventDecoders[kind]; ok {
		return decode(data)
	}
	return UnknownEvent{Kind: kind, Raw: data}, nil
}

func decodeAs[T EventData](data []byte) (EventData, error) {
	v, err := Decode[T](data)
	if err != nil {
		return nil, err
	}
	return v, nil
}
