// Package token reads the tokens that wash puts into components when it signs them, and makes the one of the host. A
// token says who built a component; the host shows both to a backend of secrets.
package token

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/nats-io/nuid"
)

// revision is the number of the form that wash writes today.
const revision = 3

// Claims are what a token says; T is what it says of the kind of thing it belongs to.
type Claims[T any] struct {
	ID       string `json:"jti"`
	IssuedAt int64  `json:"iat"`
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	// Expires and NotBefore are seconds of the epoch; wash sets neither unless it is asked to.
	Expires   *int64 `json:"exp,omitempty"`
	NotBefore *int64 `json:"nbf,omitempty"`
	Metadata  *T     `json:"wascap,omitempty"`
	Revision  uint32 `json:"wascap_revision,omitempty"`
}

// Component is what a token says of a component.
type Component struct {
	Name string `json:"name,omitempty"`
	// Hash is the one of HashOf.
	Hash      string   `json:"hash"`
	Tags      []string `json:"tags"`
	Revision  *int32   `json:"rev,omitempty"`
	Version   string   `json:"ver,omitempty"`
	CallAlias string   `json:"call_alias,omitempty"`
	Provider  bool     `json:"prov"`
}

// host is what a token says of a host.
type host struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
}

// Token is a token that was verified, as text and as what it says.
type Token struct {
	JWT    string
	Claims Claims[Component]
}

// Read returns the token of a component, or nil for one that is not signed. A token that was tampered with, is not valid
// now or belongs to other code is an error.
func Read(code []byte, now time.Time) (*Token, error) {
	text, err := find(code)
	if err != nil || text == "" {
		return nil, err
	}
	claims, err := verify[Component](text, now)
	if err != nil {
		return nil, err
	}
	if !isModule(claims.Subject) {
		return nil, fmt.Errorf("%w: it is %q", ErrSubject, claims.Subject)
	}
	if claims.Metadata == nil || claims.Metadata.Hash == "" {
		return nil, ErrNoHash
	}
	hash, err := HashOf(code)
	if err != nil {
		return nil, err
	}
	// Upstream lets tokens of old forms pass without this, which would let anybody put one into other code.
	if hash != claims.Metadata.Hash {
		return nil, ErrOtherCode
	}
	return &Token{JWT: text, Claims: claims}, nil
}

// HashOf is the hash of a component that its token holds: of everything but the token.
func HashOf(code []byte) (string, error) {
	sum := sha256.New()
	if err := Strip(sum, code); err != nil {
		return "", err
	}
	return strings.ToUpper(hex.EncodeToString(sum.Sum(nil))), nil
}

// ForHost makes the token of a host. It is signed with a new key that nobody keeps, so it proves nothing; backends ask
// for its form.
func ForHost(id, name string, now time.Time) (string, error) {
	key, err := nkeys.CreateAccount()
	if err != nil {
		return "", err
	}
	defer key.Wipe()
	issuer, err := key.PublicKey()
	if err != nil {
		return "", err
	}
	return Encode(Claims[host]{
		ID: nuid.Next(), IssuedAt: now.Unix(), Issuer: issuer, Subject: id, Revision: revision,
		Metadata: &host{Name: name, Labels: map[string]string{"self_signed": "true"}},
	}, key)
}
