package sim

import (
	"errors"
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Texts for which only the outermost one of a failure is on the wire; which one that is was not recorded.
const (
	messageLinkNotStored  = "failed to store link"
	messageConfigNotFound = "failed to get config"
)

var errLinkConflict = errors.New(lattice.MessageLinkConflict)

// putLink checks, stores, says so in an event, and answers. Between reading the record of the source and writing it
// another host may write: that one's link is lost, as with real hosts.
func (h *host) putLink(r *request) {
	link, ok := decode[lattice.Link](h, r, lattice.MessageBadLink)
	if !ok {
		return
	}
	var missing []string
	var spec lattice.ComponentSpec
	h.l.io(func(b Buckets) (err error) {
		if missing, err = missingConfigs(b, link); err == nil {
			spec, _, err = readSpec(b, link.SourceID)
		}
		return err
	}, func(err error) {
		switch {
		case err != nil:
			h.linkFailed(r, link, messageLinkNotStored)
			return
		case len(missing) > 0:
			h.linkFailed(r, link, lattice.MessageMissingConfig(missing))
			return
		}
		if spec.Links, err = withLink(spec.Links, link); err != nil {
			h.linkFailed(r, link, err.Error())
			return
		}
		h.l.wait(h.l.config.BucketDelay, func() {
			h.l.io(func(b Buckets) error { return writeSpec(b, link.SourceID, spec) }, func(err error) {
				if err != nil {
					h.linkFailed(r, link, messageLinkNotStored)
					return
				}
				h.linkStored(r, link)
			})
		}, "bucket", h.id, r.key, string(r.data))
	})
}

func (h *host) linkStored(r *request, link lattice.Link) {
	if h.dead {
		return
	}
	h.emit(lattice.LinkSet{Link: link})
	h.l.offerLink(h, link)
	h.accept(r, lattice.MessageLinkPut)
}

// linkFailed: "the event precedes the reply".
func (h *host) linkFailed(r *request, link lattice.Link, reason string) {
	if h.dead {
		return
	}
	h.emit(lattice.LinkSetFailed{Link: link, Error: reason})
	h.refuse(r, reason)
}

func missingConfigs(b Buckets, link lattice.Link) (missing []string, err error) {
	for _, name := range slices.Concat(link.SourceConfig, link.TargetConfig) {
		_, found, err := b.Get(ConfigBucket, name)
		if err != nil {
			return nil, err
		}
		if !found {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// withLink is what a put makes of the links of a source.
func withLink(links []lattice.Link, link lattice.Link) ([]lattice.Link, error) {
	links = slices.Clone(links)
	for _, old := range links {
		common := slices.ContainsFunc(old.Interfaces, func(i string) bool { return slices.Contains(link.Interfaces, i) })
		if old.Key() == link.Key() && common && old.Target != link.Target {
			return nil, errLinkConflict
		}
	}
	same := func(old lattice.Link) bool { return old.Key() == link.Key() && old.Target == link.Target }
	if i := slices.IndexFunc(links, same); i >= 0 {
		links[i] = link
		return links, nil
	}
	return append(links, link), nil
}

// deleteLink removes the first link that matches; target and interfaces take no part.
func (h *host) deleteLink(r *request) {
	cmd, ok := decode[lattice.DeleteLink](h, r, lattice.MessageBadLink)
	if !ok {
		return
	}
	var spec lattice.ComponentSpec
	var known bool
	h.l.io(func(b Buckets) (err error) {
		spec, known, err = readSpec(b, cmd.SourceID)
		return err
	}, func(err error) {
		switch {
		case h.dead:
		case err != nil:
			h.refuse(r, messageLinkNotStored)
		case !known:
			h.accept(r, lattice.MessageLinkSpecAbsent)
		default:
			h.deleteStored(r, cmd, spec)
		}
	})
}

func (h *host) deleteStored(r *request, cmd lattice.DeleteLink, spec lattice.ComponentSpec) {
	gone := lattice.Link{SourceID: cmd.SourceID, Name: cmd.Name, WitNamespace: cmd.WitNamespace, WitPackage: cmd.WitPackage}
	if i := slices.IndexFunc(spec.Links, func(l lattice.Link) bool { return l.Key() == cmd.Key() }); i >= 0 {
		gone = spec.Links[i]
		spec.Links = slices.Delete(slices.Clone(spec.Links), i, i+1)
	}
	h.l.wait(h.l.config.BucketDelay, func() {
		h.l.io(func(b Buckets) error { return writeSpec(b, cmd.SourceID, spec) }, func(err error) {
			switch {
			case h.dead:
			case err != nil:
				h.refuse(r, messageLinkNotStored)
			default:
				h.emit(lattice.LinkDeleted{SourceID: gone.SourceID, Target: gone.Target, Name: gone.Name,
					WitNamespace: gone.WitNamespace, WitPackage: gone.WitPackage, Interfaces: gone.Interfaces})
				h.l.withdrawLink(h, gone)
				h.accept(r, lattice.MessageLinkDeleted)
			}
		})
	}, "bucket", h.id, r.key, string(r.data))
}

func (h *host) getLinks(r *request) {
	all := lattice.List[lattice.Link]{}
	for _, id := range sortedKeys(h.l.specs) {
		all = append(all, h.l.specs[id].Links...)
	}
	h.answer(r, all)
}
