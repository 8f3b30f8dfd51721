package wasmhost

import (
	"context"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

func (h *Host) ping(context.Context, string, []byte) (lattice.Reply, bool) {
	up := h.uptime()
	return h.answer(lattice.HostPing{
		ID: h.id, FriendlyName: h.name, Labels: h.copyLabels(), Lattice: h.config.Lattice, Version: Version,
		RPCHost: h.rpc.Opts.Servers[0], CtlHost: h.control.Opts.Servers[0], JSDomain: h.config.JSDomain,
		UptimeHuman: lattice.HumanUptime(up), UptimeSeconds: uint64(up / time.Second),
	})
}

func (h *Host) getInventory(context.Context, string, []byte) (lattice.Reply, bool) {
	return h.answer(h.inventory())
}

func (h *Host) stopHost(_ context.Context, _ string, body []byte) (lattice.Reply, bool) {
	var command lattice.StopHost
	if len(body) > 0 {
		var err error
		if command, err = lattice.Decode[lattice.StopHost](body); err != nil {
			return refused(lattice.MessageBadHostStop)
		}
	}
	if command.HostID != "" && command.HostID != h.id {
		return refused(lattice.MessageWrongHost(command.HostID))
	}
	deadline := defaultShutdown
	if command.Timeout != nil {
		deadline = time.Duration(min(*command.Timeout, uint64(time.Hour/time.Millisecond))) * time.Millisecond
	}
	select {
	case h.stop <- deadline:
	default: // it stops already
	}
	return accepted(lattice.MessageStopping)
}

func (h *Host) putLabel(_ context.Context, _ string, body []byte) (lattice.Reply, bool) {
	command, err := lattice.Decode[lattice.PutLabel](body)
	if err != nil {
		return refused(lattice.MessageBadLabelPut)
	}
	if strings.HasPrefix(strings.ToLower(command.Key), lattice.ReservedLabelPrefix) {
		return refused(lattice.MessageReservedLabel)
	}
	h.mu.Lock()
	h.labels[command.Key] = *command.Value
	h.mu.Unlock()
	h.emit(lattice.LabelsChanged{HostID: h.id, Labels: h.copyLabels()})
	return accepted(lattice.MessageLabelPut)
}

func (h *Host) deleteLabel(_ context.Context, _ string, body []byte) (lattice.Reply, bool) {
	command, err := lattice.Decode[lattice.DeleteLabel](body)
	if err != nil {
		return refused(lattice.MessageBadLabelDelete)
	}
	h.mu.Lock()
	_, had := h.labels[command.Key]
	delete(h.labels, command.Key)
	h.mu.Unlock()
	if !had {
		return accepted(lattice.MessageLabelAbsent)
	}
	h.emit(lattice.LabelsChanged{HostID: h.id, Labels: h.copyLabels()})
	return accepted(lattice.MessageLabelDeleted)
}

func (h *Host) putRegistries(_ context.Context, _ string, body []byte) (lattice.Reply, bool) {
	credentials, err := lattice.Decode[lattice.RegistryCredentials](body)
	if err != nil {
		return refused(lattice.MessageBadRegistries)
	}
	h.fetch.add(credentials)
	return accepted(lattice.MessageRegistriesPut)
}

// eligible tells whether the host's labels meet an auction's constraints.
func (h *Host) eligible(constraints map[string]string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, value := range constraints {
		if have, ok := h.labels[key]; !ok || have != value {
			return false
		}
	}
	return true
}

func (h *Host) getClaims(context.Context, string, []byte) (lattice.Reply, bool) {
	h.data.mu.Lock()
	defer h.data.mu.Unlock()
	list := []map[string]string{}
	for _, c := range h.data.claims {
		entry := map[string]string{
			"iss": c.Issuer, "issuer": c.Issuer, "name": c.Name, "rev": c.Revision, "revision": c.Revision,
			"sub": c.Subject, "subject": c.Subject, "version": c.Version,
		}
		if strings.HasPrefix(c.Subject, "M") {
			entry["call_alias"], entry["tags"] = c.CallAlias, strings.Join(c.Tags, ",")
		} else {
			entry["config_schema"] = c.ConfigSchema
		}
		list = append(list, entry)
	}
	return h.answer(list)
}
