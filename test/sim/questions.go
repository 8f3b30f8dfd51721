package sim

import (
	"maps"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

func (h *host) ping(r *request) {
	c, up := h.l.config, time.Since(h.born)
	h.answer(r, lattice.HostPing{
		ID: h.id, FriendlyName: h.name, Labels: h.label, Lattice: c.Lattice, Version: hostVersion,
		RPCHost: c.URL, CtlHost: c.URL, JSDomain: c.Domain,
		UptimeHuman: lattice.HumanUptime(up), UptimeSeconds: uint64(up / time.Second),
	})
}

func (h *host) stopCommand(r *request) {
	var cmd lattice.StopHost
	if len(r.data) > 0 {
		var ok bool
		if cmd, ok = decode[lattice.StopHost](h, r, lattice.MessageBadHostStop); !ok {
			return
		}
	}
	if cmd.HostID != "" && cmd.HostID != h.id {
		h.refuse(r, lattice.MessageWrongHost(cmd.HostID))
		return
	}
	h.accept(r, lattice.MessageStopping)
	h.stop()
}

func (h *host) putLabel(r *request) {
	cmd, ok := decode[lattice.PutLabel](h, r, lattice.MessageBadLabelPut)
	if !ok {
		return
	}
	if strings.HasPrefix(strings.ToLower(cmd.Key), lattice.ReservedLabelPrefix) {
		h.refuse(r, lattice.MessageReservedLabel)
		return
	}
	h.label[cmd.Key] = *cmd.Value
	h.labelsChanged()
	h.accept(r, lattice.MessageLabelPut)
}

func (h *host) deleteLabel(r *request) {
	cmd, ok := decode[lattice.DeleteLabel](h, r, lattice.MessageBadLabelDelete)
	if !ok {
		return
	}
	if _, found := h.label[cmd.Key]; !found {
		h.accept(r, lattice.MessageLabelAbsent)
		return
	}
	delete(h.label, cmd.Key)
	h.labelsChanged()
	h.accept(r, lattice.MessageLabelDeleted)
}

func (h *host) labelsChanged() {
	h.emit(lattice.LabelsChanged{HostID: h.id, Labels: maps.Clone(h.label)})
}

// eligible: every constraint equals a label.
func (h *host) eligible(constraints lattice.StringMap) bool {
	for k, v := range constraints {
		if have, ok := h.label[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// auctionComponent has the defect of hosts 1.9.2: the reference stands in for the id, in the answer and in the question
// whether the component runs already.
func (h *host) auctionComponent(r *request) {
	a, ok := decode[lattice.ComponentAuction](h, r, lattice.MessageBadComponentAuction)
	if !ok || !h.eligible(a.Constraints) || h.components[a.ComponentRef] != nil {
		return
	}
	h.answer(r, lattice.ComponentBid{HostID: h.id, ComponentID: a.ComponentRef, ComponentRef: a.ComponentRef,
		Constraints: a.Constraints})
}

func (h *host) auctionProvider(r *request) {
	a, ok := decode[lattice.ProviderAuction](h, r, lattice.MessageBadProviderAuction)
	if !ok || !h.eligible(a.Constraints) || h.providers[a.ProviderID] != nil {
		return
	}
	h.answer(r, lattice.ProviderBid{HostID: h.id, ProviderID: a.ProviderID, ProviderRef: a.ProviderRef, Constraints: a.Constraints})
}

func (h *host) putRegistries(r *request) {
	if _, ok := decode[lattice.RegistryCredentials](h, r, lattice.MessageBadRegistries); ok {
		h.accept(r, lattice.MessageRegistriesPut)
	}
}
