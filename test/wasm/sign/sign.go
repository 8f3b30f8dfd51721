// Package sign signs components and providers as wash does, for tests. Same code, seeds and options give the same bytes.
package sign

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

// Options say what the token of a component says.
type Options struct {
	// Account and Module are seeds, SA... and SM...; see Seeds.
	Account, Module string

	Name, Version string
	Revision      int32
	Tags          []string
	// IssuedAt, Expires and NotBefore are left out of the token when they are zero, but for the first, which is 1970 then.
	IssuedAt, Expires, NotBefore time.Time
}

var base32Key = base32.StdEncoding.WithPadding(base32.NoPadding)

// Component returns a component with a token. One that it has already is replaced.
func Component(code []byte, o Options) ([]byte, error) {
	var signed bytes.Buffer
	if err := token.Strip(&signed, code); err != nil {
		return nil, err
	}
	text, err := o.token(signed.Bytes())
	if err != nil {
		return nil, err
	}
	return Attach(signed.Bytes(), text), nil
}

// Attach appends a token to a component, whatever it says.
func Attach(code []byte, text string) []byte {
	body := binary.AppendUvarint(nil, uint64(len(token.SectionName)))
	body = append(append(body, token.SectionName...), text...)
	const custom = 0
	code = binary.AppendUvarint(append(bytes.Clone(code), custom), uint64(len(body)))
	return append(code, body...)
}

func (o Options) token(code []byte) (string, error) {
	account, err := nkeys.FromSeed([]byte(o.Account))
	if err != nil {
		return "", err
	}
	defer account.Wipe()
	issuer, err := account.PublicKey()
	if err != nil {
		return "", err
	}
	subject, err := ModuleKey(o.Module)
	if err != nil {
		return "", err
	}
	hash, err := token.HashOf(code)
	if err != nil {
		return "", err
	}
	id := sha256.Sum256([]byte(hash + subject))
	claims := token.Claims[token.Component]{
		ID: base32Key.EncodeToString(id[:])[:22], Issuer: issuer, Subject: subject, Revision: 3,
		Expires: seconds(o.Expires), NotBefore: seconds(o.NotBefore),
		Metadata: &token.Component{Name: o.Name, Hash: hash, Tags: append([]string{}, o.Tags...), Version: o.Version, Revision: &o.Revision},
	}
	if at := seconds(o.IssuedAt); at != nil {
		claims.IssuedAt = *at
	}
	return token.Encode(claims, account)
}

func seconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := t.Unix()
	return &s
}
