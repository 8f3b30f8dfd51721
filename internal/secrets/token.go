package secrets

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"sigs.k8s.io/json"
)

// Reasons why a token is refused. They never hold a part of it.
var (
	errTokenForm      = errors.New("it is no token of three parts in base64url without padding")
	errTokenHeader    = errors.New(`its header is not exactly {"typ":"jwt","alg":"Ed25519"}`)
	errTokenClaims    = errors.New("its claims can't be read")
	errTokenIssuer    = errors.New("its issuer is no account key (A…)")
	errTokenSignature = errors.New("its signature is not that of its issuer")
	errTokenExpired   = errors.New("it has expired; sign it again")
	errTokenEarly     = errors.New("it is not valid yet; compare the clocks")
	errTokenSubject   = errors.New("its subject is no public key")
	errTokenEntity    = errors.New("its subject is no component (M…) and no provider (V…)")
	errTokenHost      = errors.New("its subject is no host (N…)")
	errTokenMembers   = errors.New("its claims lack what wasmCloud's tools write (wascap with a component's hash, a provider's vendor and target_hashes); sign it with wash")
)

type headerForm struct {
	Type      string `json:"typ"`
	Algorithm string `json:"alg"`
}

type claimsForm struct {
	Issuer  string      `json:"iss"`
	Subject string      `json:"sub"`
	Expires *int64      `json:"exp"`
	Begins  *int64      `json:"nbf"`
	Wascap  *wascapForm `json:"wascap"`
}

// wascapForm has the members of components and of providers that count.
type wascapForm struct {
	Name         string            `json:"name"`
	Hash         string            `json:"hash"`
	Vendor       *string           `json:"vendor"`
	TargetHashes map[string]string `json:"target_hashes"`
}

// ReadEntity checks the token of a component or provider, as that of a request is. Nothing that passes here passes as the
// token of a host. Errors never hold a part of it.
func ReadEntity(token string, now time.Time) (Entity, error) {
	claims, kind, err := readToken(token, now)
	if err != nil {
		return Entity{}, err
	}
	if kind != keyComponent && kind != keyProvider {
		return Entity{}, errTokenEntity
	}
	w := claims.Wascap
	if w == nil {
		return Entity{}, errTokenMembers
	}
	entity := Entity{Kind: Component, Subject: claims.Subject, Issuer: claims.Issuer, Name: w.Name, Hash: w.Hash}
	complete := w.Hash != ""
	if kind == keyProvider {
		entity.Kind, entity.Hash = Provider, ""
		complete = w.Vendor != nil && w.TargetHashes != nil
	}
	if !complete {
		return Entity{}, errTokenMembers
	}
	return entity, nil
}

// readHost checks the token of a host and returns the host's id. A host signs it with an account key of its own making, so
// that it proves nothing.
func readHost(token string, now time.Time) (id string, err error) {
	claims, kind, err := readToken(token, now)
	if err != nil {
		return "", err
	}
	if kind != keyHost {
		return "", errTokenHost
	}
	return claims.Subject, nil
}

// readToken checks what all tokens have, and returns the kind of key that the subject is.
func readToken(token string, now time.Time) (claims *claimsForm, kind byte, err error) {
	signed, signature, err := splitToken(token)
	if err != nil {
		return nil, 0, err
	}
	header, body, _ := strings.Cut(signed, ".")
	if err := readHeader(header); err != nil {
		return nil, 0, err
	}
	decoded, err := unbase(body)
	if err != nil {
		return nil, 0, errTokenForm
	}
	if err := decode(decoded, &claims); err != nil || claims == nil {
		return nil, 0, errTokenClaims
	}
	issuer, key, ok := readKey(claims.Issuer)
	if !ok || issuer != keyAccount {
		return nil, 0, errTokenIssuer
	}
	if !ed25519.Verify(key, []byte(signed), signature) {
		return nil, 0, errTokenSignature
	}
	if err := claims.checkTimes(now.Unix()); err != nil {
		return nil, 0, err
	}
	kind, _, ok = readKey(claims.Subject)
	if !ok {
		return nil, 0, errTokenSubject
	}
	return claims, kind, nil
}

func splitToken(token string) (signed string, signature []byte, err error) {
	last := strings.LastIndexByte(token, '.')
	if strings.Count(token, ".") != 2 {
		return "", nil, errTokenForm
	}
	signature, err = unbase(token[last+1:])
	if err != nil || len(signature) != ed25519.SignatureSize {
		return "", nil, errTokenForm
	}
	return token[:last], signature, nil
}

func readHeader(text string) error {
	decoded, err := unbase(text)
	if err != nil {
		return errTokenForm
	}
	var header *headerForm
	if err := decode(decoded, &header, json.DisallowUnknownFields); err != nil || header == nil {
		return errTokenHeader
	}
	if *header != (headerForm{Type: "jwt", Algorithm: "Ed25519"}) {
		return errTokenHeader
	}
	return nil
}

func (c *claimsForm) checkTimes(now int64) error {
	switch {
	case c.Expires != nil && now >= *c.Expires:
		return errTokenExpired
	case c.Begins != nil && now < *c.Begins:
		return errTokenEarly
	}
	return nil
}

// unbase decodes a part of a token, which has one form only: the decoder skips line ends.
func unbase(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errTokenForm
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}
