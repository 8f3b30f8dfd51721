package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// merged is the content of named configurations as it is now; later names win key by key, missing ones count as empty.
func (d *latticeData) merged(names []string) map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]string{}
	for _, name := range names {
		maps.Copy(all, d.named[name].values)
	}
	return all
}

// missing reads named configurations from the bucket, so that one put a moment ago is seen, and returns the names
// that do not exist.
func (d *latticeData) missing(ctx context.Context, names []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	var absent []string
	for _, name := range names {
		entry, err := d.config(ctx, name)
		switch {
		case err == nil:
			d.applyConfig(entry)
		case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrInvalidKey):
			absent = append(absent, name)
		default:
			return nil, fmt.Errorf("read the configuration %s: %w", name, err)
		}
	}
	return absent, nil
}

// config is the entry of a named configuration.
func (d *latticeData) config(ctx context.Context, name string) (entry jetstream.KeyValueEntry, err error) {
	err = d.in(ctx, d.configs, func() error { entry, err = d.configs.Get(ctx, name); return err })
	return entry, err
}

// demand is missing for workloads: any absent name is an error.
func (d *latticeData) demand(ctx context.Context, names []string) error {
	absent, err := d.missing(ctx, names)
	if err == nil && len(absent) > 0 {
		err = fmt.Errorf("%s: Config %s does not exist", lattice.ReasonFailedConfig, absent[0])
	}
	return err
}

// update changes a specification and returns it; another host that writes at the same time is no reason to lose either
// change.
func (d *latticeData) update(ctx context.Context, id string, change func(spec *lattice.ComponentSpec, exists bool) error) (lattice.ComponentSpec, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	key, err := lattice.ComponentKey(id)
	if err != nil {
		return lattice.ComponentSpec{}, err
	}
	for {
		spec, revision, err := d.spec(ctx, key)
		if err != nil {
			return spec, err
		}
		if err := change(&spec, revision > 0); err != nil {
			return spec, err
		}
		body, err := lattice.Encode(spec)
		if err != nil {
			return spec, err
		}
		err = d.in(ctx, d.specs, func() error { _, err := d.specs.Update(ctx, key, body, revision); return err })
		if err == nil {
			d.setLinks(id, spec.Links)
			return spec, nil
		}
		if !lostRace(err) {
			return spec, fmt.Errorf("store the specification of %s: %w", id, err)
		}
	}
}

func (d *latticeData) spec(ctx context.Context, key string) (spec lattice.ComponentSpec, revision uint64, err error) {
	var entry jetstream.KeyValueEntry
	err = d.in(ctx, d.specs, func() error { entry, err = d.specs.Get(ctx, key); return err })
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return lattice.ComponentSpec{Links: []lattice.Link{}}, 0, nil
	}
	if err != nil {
		return spec, 0, fmt.Errorf("read %s: %w", key, err)
	}
	spec, err = lattice.Decode[lattice.ComponentSpec](entry.Value())
	if spec.Links == nil {
		spec.Links = []lattice.Link{}
	}
	return spec, entry.Revision(), err
}

// lostRace: JetStream says it by two codes, the second in replicated streams.
func lostRace(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) ||
		errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == 10164)
}
