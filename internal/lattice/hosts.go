package lattice

import (
	"fmt"
	"strings"
	"time"
)

// HostPing is what a host says about itself when asked who is there.
type HostPing struct {
	ID           string    `json:"id"`
	FriendlyName string    `json:"friendly_name"`
	Labels       StringMap `json:"labels"`
	Lattice      string    `json:"lattice"`
	Version      string    `json:"version"`
	// RPCHost and CtlHost are URLs (`nats://host:port`).
	RPCHost       string `json:"rpc_host"`
	CtlHost       string `json:"ctl_host"`
	JSDomain      string `json:"js_domain,omitempty"`
	UptimeHuman   string `json:"uptime_human"`
	UptimeSeconds uint64 `json:"uptime_seconds"`
}

func (p *HostPing) check() error { return require("id", p.ID) }

// Inventory is what runs on a host: the answer of host get and the data of a heartbeat.
type Inventory struct {
	Components List[ComponentDescription] `json:"components"`
	Providers  List[ProviderDescription]  `json:"providers"`
	// HostID is empty in the messages of some old hosts; events name the host as their source.
	HostID        string    `json:"host_id"`
	FriendlyName  string    `json:"friendly_name"`
	Labels        StringMap `json:"labels"`
	Version       string    `json:"version"`
	UptimeHuman   string    `json:"uptime_human"`
	UptimeSeconds uint64    `json:"uptime_seconds"`
}

// UnmarshalJSON accepts the old member name `actors` for components.
func (i *Inventory) UnmarshalJSON(data []byte) error {
	type wire Inventory
	w := struct {
		*wire
		Actors List[ComponentDescription] `json:"actors"`
	}{wire: &wire{}}
	if err := unmarshal(data, &w); err != nil {
		return err
	}
	if w.Components == nil {
		w.Components = w.Actors
	}
	*i = Inventory(*w.wire)
	return nil
}

// ComponentDescription is one component of an inventory: one entry for each id, whatever the number of instances.
type ComponentDescription struct {
	ID string `json:"id"`
	// ImageRef as last requested, scheme kept.
	ImageRef string `json:"image_ref"`
	// Name from the claims; empty for unsigned components.
	Name        string    `json:"name,omitempty"`
	Annotations StringMap `json:"annotations"`
	Revision    int32     `json:"revision"`
	// MaxInstances is the limit of concurrent invocations on this host, not a count of running ones.
	MaxInstances uint32 `json:"max_instances"`
	// Limits is null when none were given.
	Limits map[string]string `json:"limits"`
}

// ProviderDescription is one provider of an inventory.
type ProviderDescription struct {
	ID string `json:"id"`
	// ImageRef has its scheme removed, see NormalizeProviderRef.
	ImageRef    string    `json:"image_ref"`
	Name        string    `json:"name,omitempty"`
	Revision    int32     `json:"revision"`
	Annotations StringMap `json:"annotations"`
}

// Labels that every host sets itself.
const (
	LabelArch     = "hostcore.arch"
	LabelOS       = "hostcore.os"
	LabelOSFamily = "hostcore.osfamily"
	// LabelHTTPServer with the value HTTPServerLocal says that every HTTP server on the host is part of it, and reaches
	// components of that host only, whatever the image of the provider is called. trellis-host carries it.
	LabelHTTPServer = "trellis.http-server"
	HTTPServerLocal = "local"
	// ReservedLabelPrefix is refused in label puts, in any case.
	ReservedLabelPrefix = "hostcore."
)

// HumanUptime writes an uptime as hosts do: `1h 2m 5s`.
func HumanUptime(d time.Duration) string {
	seconds := int64(d / time.Second)
	if seconds <= 0 {
		return "0s"
	}
	var parts []string
	for _, unit := range []struct {
		name string
		size int64
	}{{"day", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		n := seconds / unit.size
		seconds %= unit.size
		switch {
		case n == 0:
		case unit.name == "day" && n > 1:
			parts = append(parts, fmt.Sprintf("%ddays", n))
		default:
			parts = append(parts, fmt.Sprintf("%d%s", n, unit.name))
		}
	}
	return strings.Join(parts, " ")
}
