package wasmhost

import (
	"context"
	"fmt"
	"strconv"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

// recordClaims tells the lattice who signed a component, if somebody did.
func (h *Host) recordClaims(ctx context.Context, t *token.Token) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	meta := t.Claims.Metadata
	body, err := lattice.Encode(lattice.Claims{
		CallAlias: meta.CallAlias, Issuer: t.Claims.Issuer, Subject: t.Claims.Subject, Name: meta.Name, Version: meta.Version,
		Tags: meta.Tags, Revision: strconv.Itoa(int(revisionOf(meta))),
	})
	if err != nil {
		return err
	}
	key, err := lattice.ClaimsKey(t.Claims.Subject)
	if err != nil {
		return err
	}
	if err := h.data.in(ctx, h.data.specs, func() error { _, err := h.data.specs.Put(ctx, key, body); return err }); err != nil {
		return fmt.Errorf("failed to store claims: %w", err)
	}
	return nil
}

func revisionOf(meta *token.Component) int32 {
	if meta.Revision == nil {
		return 0
	}
	return *meta.Revision
}

// eventClaims is what events say of signed code, and nothing of other.
func eventClaims(t *token.Token) (publicKey string, claims *lattice.EventClaims) {
	if t == nil {
		return "", nil
	}
	c, meta := t.Claims, t.Claims.Metadata
	return c.Subject, &lattice.EventClaims{
		CallAlias: meta.CallAlias, Issuer: c.Issuer, Tags: meta.Tags, Name: meta.Name, Version: meta.Version,
		Revision: meta.Revision, NotBeforeHuman: epoch(c.NotBefore), ExpiresHuman: epoch(c.Expires),
	}
}

func epoch(at *int64) string {
	if at == nil {
		return "never"
	}
	return strconv.FormatInt(*at, 10)
}

// describe adds to an inventory what a token says.
func describe(d *lattice.ComponentDescription, t *token.Token) {
	if t != nil {
		d.Name, d.Revision = t.Claims.Metadata.Name, revisionOf(t.Claims.Metadata)
	}
}
