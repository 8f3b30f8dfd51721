package wasmhost

import (
	"crypto/rand"
	"maps"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// emit publishes an event. Events are not stored: one that cannot be sent is lost, and heartbeats make up for it.
func (h *Host) emit(data lattice.EventData) {
	now := time.Now()
	var entropy [10]byte
	_, _ = rand.Read(entropy[:]) // never fails
	e := lattice.Event{ID: lattice.EventID(now, entropy), Host: h.id, Time: now, Data: data}
	body, err := lattice.EncodeEvent(e)
	if err != nil {
		h.log.Error(err, "An event could not be written", "event", e.Kind())
		return
	}
	subject, err := lattice.EventSubject(h.config.Lattice, e.Kind())
	if err == nil {
		err = h.control.Publish(subject, body)
	}
	if err != nil {
		h.log.Info("An event could not be sent", "event", e.Kind(), "reason", err.Error())
	}
}

// heartbeats end, and close the channel, with stop.
func (h *Host) heartbeats(ctx interface{ Done() <-chan struct{} }) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(h.config.Heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				h.emit(lattice.HostHeartbeat{Inventory: h.inventory()})
			case <-ctx.Done():
				return
			}
		}
	}()
	return ended
}

func (h *Host) copyLabels() lattice.StringMap {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.labels)
}

func (h *Host) uptime() time.Duration { return time.Since(h.started) }

func (h *Host) inventory() lattice.Inventory {
	up := h.uptime()
	i := lattice.Inventory{
		HostID: h.id, FriendlyName: h.name, Labels: h.copyLabels(), Version: Version,
		UptimeHuman: lattice.HumanUptime(up), UptimeSeconds: uint64(up / time.Second),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, c := range h.components {
		d := lattice.ComponentDescription{
			ID: id, ImageRef: c.ref, Annotations: maps.Clone(c.annotations), MaxInstances: c.max, Limits: c.limits,
		}
		describe(&d, c.code.token)
		i.Components = append(i.Components, d)
	}
	for id, p := range h.providers {
		i.Providers = append(i.Providers, lattice.ProviderDescription{
			ID: id, ImageRef: lattice.NormalizeProviderRef(p.ref), Annotations: maps.Clone(p.annotations),
		})
	}
	return i
}
