package lattice

import "errors"

// DefaultLinkName is the name of links that name none.
const DefaultLinkName = "default"

// Link lets a source call a target through some interfaces of one WIT package.
type Link struct {
	SourceID     string       `json:"source_id"`
	Target       string       `json:"target"`
	Name         string       `json:"name"`
	WitNamespace string       `json:"wit_namespace"`
	WitPackage   string       `json:"wit_package"`
	Interfaces   List[string] `json:"interfaces"`
	SourceConfig List[string] `json:"source_config"`
	TargetConfig List[string] `json:"target_config"`
}

// LinkKey is what makes a link unique for deletion: target and interfaces take no part.
type LinkKey struct {
	SourceID, Name, WitNamespace, WitPackage string
}

// Key of the link.
func (l Link) Key() LinkKey {
	return LinkKey{SourceID: l.SourceID, Name: l.Name, WitNamespace: l.WitNamespace, WitPackage: l.WitPackage}
}

// UnmarshalJSON fills in the default name and checks required members, also inside lists.
func (l *Link) UnmarshalJSON(data []byte) error {
	type wire Link
	w := wire{Name: DefaultLinkName}
	if err := unmarshal(data, &w); err != nil {
		return err
	}
	if w.Interfaces == nil {
		return errors.New(`member "interfaces" is missing`)
	}
	*l = Link(w)
	return firstError(require("source_id", l.SourceID), require("target", l.Target),
		require("wit_namespace", l.WitNamespace), require("wit_package", l.WitPackage))
}

// DeleteLink names a link to remove.
type DeleteLink struct {
	SourceID     string `json:"source_id"`
	Name         string `json:"name"`
	WitNamespace string `json:"wit_namespace"`
	WitPackage   string `json:"wit_package"`
}

// UnmarshalJSON fills in the default name.
func (d *DeleteLink) UnmarshalJSON(data []byte) error {
	type wire DeleteLink
	w := wire{Name: DefaultLinkName}
	if err := unmarshal(data, &w); err != nil {
		return err
	}
	*d = DeleteLink(w)
	return firstError(require("source_id", d.SourceID),
		require("wit_namespace", d.WitNamespace), require("wit_package", d.WitPackage))
}

// Key of the link that is meant.
func (d DeleteLink) Key() LinkKey {
	return LinkKey(d)
}

// ComponentSpec is the record of a component or provider in the data bucket, key ComponentKey.
type ComponentSpec struct {
	// URL is the reference of the first start; it stays when the image changes, and stays empty when a link was put
	// first.
	URL string `json:"url"`
	// Links whose source is this component.
	Links List[Link] `json:"links"`
}
