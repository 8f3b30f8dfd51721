package wasmhost

import (
	"context"
	"errors"
	"slices"

	"github.com/trellis-operator/trellis/internal/lattice"
)

var (
	errLinkConflict = errors.New(lattice.MessageLinkConflict)
	errNoSpec       = errors.New(lattice.MessageLinkSpecAbsent)
)

func (h *Host) putLink(ctx context.Context, _ string, body []byte) (lattice.Reply, bool) {
	link, err := lattice.Decode[lattice.Link](body)
	if err != nil {
		return refused(lattice.MessageBadLink)
	}
	refuse := func(reason string) (lattice.Reply, bool) {
		h.emit(lattice.LinkSetFailed{Link: link, Error: reason})
		return refused(reason)
	}
	absent, err := h.data.missing(ctx, slices.Concat(link.SourceConfig, link.TargetConfig))
	if err != nil {
		return refuse(err.Error())
	}
	if len(absent) > 0 {
		return refuse(lattice.MessageMissingConfig(absent))
	}
	_, err = h.data.update(ctx, link.SourceID, func(spec *lattice.ComponentSpec, _ bool) error {
		links, err := setLink(spec.Links, link)
		spec.Links = links
		return err
	})
	if err != nil {
		return refuse(err.Error())
	}
	h.emit(lattice.LinkSet{Link: link})
	h.tellProviders("put", link)
	return accepted(lattice.MessageLinkPut)
}

// setLink replaces or appends a link. Links of one name may go to different targets only by different interfaces.
func setLink(links []lattice.Link, link lattice.Link) ([]lattice.Link, error) {
	for i, l := range links {
		if l.Key() != link.Key() {
			continue
		}
		if l.Target == link.Target {
			links = slices.Clone(links)
			links[i] = link
			return links, nil
		}
		for _, name := range l.Interfaces {
			if slices.Contains(link.Interfaces, name) {
				return nil, errLinkConflict
			}
		}
	}
	return append(slices.Clone(links), link), nil
}

func (h *Host) deleteLink(ctx context.Context, _ string, body []byte) (lattice.Reply, bool) {
	command, err := lattice.Decode[lattice.DeleteLink](body)
	if err != nil {
		return refused(lattice.MessageBadLink)
	}
	deleted := lattice.LinkDeleted{SourceID: command.SourceID, Name: command.Name,
		WitNamespace: command.WitNamespace, WitPackage: command.WitPackage}
	var gone *lattice.Link
	_, err = h.data.update(ctx, command.SourceID, func(spec *lattice.ComponentSpec, exists bool) error {
		gone = nil
		if !exists {
			return errNoSpec
		}
		i := slices.IndexFunc(spec.Links, func(l lattice.Link) bool { return l.Key() == command.Key() })
		if i >= 0 {
			link := spec.Links[i]
			gone = &link
			spec.Links = slices.Delete(slices.Clone(spec.Links), i, i+1)
		}
		return nil
	})
	if errors.Is(err, errNoSpec) {
		return accepted(lattice.MessageLinkSpecAbsent)
	}
	if err != nil {
		return refused(err.Error())
	}
	if gone != nil {
		deleted.Target, deleted.Interfaces = gone.Target, gone.Interfaces
		h.tellProviders("del", *gone)
	}
	h.emit(deleted)
	return accepted(lattice.MessageLinkDeleted)
}

func (h *Host) getLinks(context.Context, string, []byte) (lattice.Reply, bool) {
	h.data.mu.Lock()
	defer h.data.mu.Unlock()
	all := []lattice.Link{}
	for _, links := range h.data.links {
		all = append(all, links...)
	}
	return h.answer(all)
}

// resolvedLink is a link as providers get it: with the content of its configurations.
type resolvedLink struct {
	SourceID      string            `json:"source_id"`
	Target        string            `json:"target"`
	Name          string            `json:"name"`
	WitNamespace  string            `json:"wit_namespace"`
	WitPackage    string            `json:"wit_package"`
	Interfaces    []string          `json:"interfaces"`
	SourceConfig  map[string]string `json:"source_config"`
	TargetConfig  map[string]string `json:"target_config"`
	SourceSecrets []byte            `json:"source_secrets"`
	TargetSecrets []byte            `json:"target_secrets"`
}

// tellProviders publishes a change for providers on upstream's hosts of the same lattice that learn of links in no
// other way: builtin ones and those older than 1.1. The provider of this host follows the bucket instead.
func (h *Host) tellProviders(verb string, l lattice.Link) {
	r := resolvedLink{SourceID: l.SourceID, Target: l.Target, Name: l.Name, WitNamespace: l.WitNamespace,
		WitPackage: l.WitPackage, Interfaces: l.Interfaces, SourceConfig: map[string]string{}, TargetConfig: map[string]string{}}
	if verb == "put" {
		if slices.ContainsFunc(slices.Concat(l.SourceConfig, l.TargetConfig), lattice.IsSecret) {
			return // secrets are never published in the clear
		}
		r.SourceConfig, r.TargetConfig = h.data.merged(l.SourceConfig), h.data.merged(l.TargetConfig)
	}
	body, err := lattice.Encode(r)
	if err != nil {
		h.log.Error(err, "A link could not be written")
		return
	}
	for _, id := range []string{l.SourceID, l.Target} {
		if err := h.rpc.Publish("wasmbus.rpc."+h.config.Lattice+"."+id+".linkdefs."+verb, body); err != nil {
			h.log.Info("Providers could not be told of a link", "provider", id, "reason", err.Error())
		}
	}
}
