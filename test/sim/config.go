package sim

import (
	"fmt"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// putConfig stores a configuration as it came, byte for byte.
func (h *host) putConfig(r *request) {
	if _, ok := decode[lattice.Config](h, r, lattice.MessageBadConfig); !ok {
		return
	}
	h.l.io(func(b Buckets) error { return b.Put(ConfigBucket, r.object, r.data) }, func(err error) {
		switch {
		case h.dead:
		case err != nil:
			h.refuse(r, lattice.MessageConfigNotStored)
		default:
			h.emit(lattice.ConfigSet{ConfigName: r.object})
			h.accept(r, lattice.MessageConfigPut)
		}
	})
}

func (h *host) getConfig(r *request) {
	var value []byte
	var found bool
	h.l.io(func(b Buckets) (err error) {
		value, found, err = b.Get(ConfigBucket, r.object)
		return err
	}, func(err error) {
		if err != nil {
			h.refuse(r, messageConfigNotFound)
			return
		}
		if !found {
			h.accept(r, lattice.MessageConfigNotFound)
			return
		}
		config, err := lattice.Decode[lattice.Config](value)
		if err != nil {
			h.refuse(r, lattice.MessageBadConfig)
			return
		}
		h.answer(r, config)
	})
}

// deleteConfig purges; a name that is not there is no error.
func (h *host) deleteConfig(r *request) {
	h.l.io(func(b Buckets) error { return b.Purge(ConfigBucket, r.object) }, func(err error) {
		switch {
		case h.dead:
		case err != nil:
			h.refuse(r, lattice.MessageConfigNotDeleted)
		default:
			h.emit(lattice.ConfigDeleted{ConfigName: r.object})
			h.accept(r, lattice.MessageConfigDeleted)
		}
	})
}

// storeSpec is what each start does: the record of the component is written, new with its reference or again as it is,
// and the claims of what is signed.
func (l *Lattice) storeSpec(h *host, id, ref string, signed *claims, then func(error)) {
	var spec lattice.ComponentSpec
	var found bool
	l.io(func(b Buckets) (err error) {
		if signed != nil {
			if err := writeClaims(b, signed); err != nil {
				return err
			}
		}
		spec, found, err = readSpec(b, id)
		return err
	}, func(err error) {
		if err != nil || h.dead {
			h.unlessDead(then, err)
			return
		}
		if signed != nil {
			l.claims[signed.subject] = signed.answer()
		}
		if !found {
			spec = lattice.ComponentSpec{URL: ref}
		}
		// What another host writes meanwhile, a link for instance, is lost: nothing is compared.
		l.wait(l.config.BucketDelay, func() {
			l.io(func(b Buckets) error { return writeSpec(b, id, spec) }, func(err error) { h.unlessDead(then, err) })
		}, "bucket", h.id, "spec", id)
	})
}

func (h *host) unlessDead(then func(error), err error) {
	if !h.dead {
		then(err)
	}
}

func readSpec(b Buckets, id string) (lattice.ComponentSpec, bool, error) {
	name, err := lattice.ComponentKey(id)
	if err != nil {
		return lattice.ComponentSpec{}, false, err
	}
	value, found, err := b.Get(DataBucket, name)
	if err != nil || !found {
		return lattice.ComponentSpec{}, false, err
	}
	spec, err := lattice.Decode[lattice.ComponentSpec](value)
	if err != nil {
		return lattice.ComponentSpec{}, false, fmt.Errorf("read %s: %w", name, err)
	}
	return spec, true, nil
}

func writeSpec(b Buckets, id string, spec lattice.ComponentSpec) error {
	name, err := lattice.ComponentKey(id)
	if err != nil {
		return err
	}
	body, err := lattice.Encode(spec)
	if err != nil {
		return err
	}
	return b.Put(DataBucket, name, body)
}

func writeClaims(b Buckets, c *claims) error {
	name, err := lattice.ClaimsKey(c.subject)
	if err != nil {
		return err
	}
	body, err := lattice.Encode(c.record())
	if err != nil {
		return err
	}
	return b.Put(DataBucket, name, body)
}
