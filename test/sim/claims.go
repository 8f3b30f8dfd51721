package sim

import (
	"path"
	"strconv"
	"strings"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// claims of a signed image.
type claims struct {
	kind                           byte
	subject, issuer, name, version string
	revision                       int32
}

// componentClaims are those of a component's image; nil where components are not signed.
func (l *Lattice) componentClaims(ref string) *claims {
	if !l.config.Signed {
		return nil
	}
	return l.claimsOf('M', ref)
}

// claimsOf makes claims out of a reference: name and version are its last parts, the keys come from the seed.
func (l *Lattice) claimsOf(kind byte, ref string) *claims {
	repository, version, _ := strings.Cut(path.Base(ref), ":")
	return &claims{kind: kind, name: repository, version: version,
		subject: key(kind, l.config.Seed, "subject "+repository), issuer: key('A', l.config.Seed, "issuer")}
}

func (c *claims) event() *lattice.EventClaims {
	e := &lattice.EventClaims{Issuer: c.issuer, Name: c.name, Version: c.version, NotBeforeHuman: "never", ExpiresHuman: "never"}
	if c.kind == 'M' {
		e.Tags, e.Revision = lattice.Tags{}, &c.revision
	}
	return e
}

// record is what goes into the data bucket.
func (c *claims) record() lattice.Claims {
	revision := strconv.Itoa(int(c.revision))
	return lattice.Claims{Issuer: c.issuer, Name: c.name, Revision: revision, Subject: c.subject, Version: c.version}
}

// answer is what claims get says: old and new names beside each other.
func (c *claims) answer() lattice.StringMap {
	revision := strconv.Itoa(int(c.revision))
	m := lattice.StringMap{"iss": c.issuer, "issuer": c.issuer, "name": c.name, "rev": revision, "revision": revision,
		"sub": c.subject, "subject": c.subject, "version": c.version}
	if c.kind == 'M' {
		m["call_alias"], m["tags"] = "", ""
	} else {
		m["config_schema"] = ""
	}
	return m
}

func (h *host) getClaims(r *request) {
	all := lattice.List[lattice.StringMap]{}
	for _, subject := range sortedKeys(h.l.claims) {
		all = append(all, h.l.claims[subject])
	}
	h.answer(r, all)
}
