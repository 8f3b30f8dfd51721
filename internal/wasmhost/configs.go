package wasmhost

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// putConfig stores the body byte for byte.
func (h *Host) putConfig(ctx context.Context, name string, body []byte) (lattice.Reply, bool) {
	if values, err := lattice.Decode[lattice.Config](body); err != nil || values == nil {
		return refused(lattice.MessageBadConfig)
	}
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	if err := h.data.in(ctx, h.data.configs, func() error { _, err := h.data.configs.Put(ctx, name, body); return err }); err != nil {
		h.log.Error(err, "A configuration could not be stored", "config", name)
		return refused(lattice.MessageConfigNotStored)
	}
	h.emit(lattice.ConfigSet{ConfigName: name})
	return accepted(lattice.MessageConfigPut)
}

func (h *Host) getConfig(ctx context.Context, name string, _ []byte) (lattice.Reply, bool) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	entry, err := h.data.config(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return accepted(lattice.MessageConfigNotFound)
	}
	if err != nil {
		h.log.Error(err, "A configuration could not be read", "config", name)
		return refused("unable to read config data")
	}
	values, err := lattice.Decode[lattice.Config](entry.Value())
	if err != nil {
		return refused(lattice.MessageBadConfig)
	}
	return h.answer(values)
}

func (h *Host) deleteConfig(ctx context.Context, name string, _ []byte) (lattice.Reply, bool) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	if err := h.data.in(ctx, h.data.configs, func() error { return h.data.configs.Purge(ctx, name) }); err != nil {
		h.log.Error(err, "A configuration could not be deleted", "config", name)
		return refused(lattice.MessageConfigNotDeleted)
	}
	h.emit(lattice.ConfigDeleted{ConfigName: name})
	return accepted(lattice.MessageConfigDeleted)
}
