package token

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// header is the same for every token. The names are not those of RFC 7518; backends compare them exactly.
type header struct {
	Type      string `json:"typ"`
	Algorithm string `json:"alg"`
}

var wanted = header{Type: "jwt", Algorithm: "Ed25519"}

var segments = base64.RawURLEncoding.Strict()

type signer interface {
	Sign([]byte) ([]byte, error)
}

// Encode writes claims as a token that key signs.
func Encode[T any](claims Claims[T], key signer) (string, error) {
	head, err := segment(wanted)
	if err != nil {
		return "", err
	}
	body, err := segment(claims)
	if err != nil {
		return "", err
	}
	signed := head + "." + body
	signature, err := key.Sign([]byte(signed))
	if err != nil {
		return "", err
	}
	return signed + "." + segments.EncodeToString(signature), nil
}

func segment(v any) (string, error) {
	text, err := lattice.Encode(v)
	return segments.EncodeToString(text), err
}

// verify checks everything about a token that does not depend on what carries it.
func verify[T any](text string, now time.Time) (Claims[T], error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Claims[T]{}, fmt.Errorf("%w: it has %d parts instead of 3", ErrForm, len(parts))
	}
	head, err := open[header](parts[0])
	if err == nil && head != wanted {
		err = fmt.Errorf("%w: its type is %q and its algorithm %q", ErrForm, head.Type, head.Algorithm)
	}
	if err != nil {
		return Claims[T]{}, err
	}
	claims, err := open[Claims[T]](parts[1])
	if err != nil {
		return claims, err
	}
	key, err := nkeys.FromPublicKey(claims.Issuer)
	if err != nil {
		return claims, fmt.Errorf("%w: it is %q", ErrIssuer, claims.Issuer)
	}
	signature, err := segments.DecodeString(parts[2])
	if err != nil || key.Verify([]byte(parts[0]+"."+parts[1]), signature) != nil {
		return claims, ErrSignature
	}
	return claims, claims.current(now)
}

func open[T any](part string) (v T, err error) {
	text, err := segments.DecodeString(part)
	if err == nil {
		v, err = lattice.Decode[T](text)
	}
	if err != nil {
		return v, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return v, nil
}

func (c Claims[T]) current(now time.Time) error {
	if c.Expires != nil && now.Unix() > *c.Expires {
		return fmt.Errorf("%w: it was valid until %s", ErrExpired, time.Unix(*c.Expires, 0).UTC().Format(time.RFC3339))
	}
	if c.NotBefore != nil && now.Unix() < *c.NotBefore {
		return fmt.Errorf("%w: it is from %s", ErrEarly, time.Unix(*c.NotBefore, 0).UTC().Format(time.RFC3339))
	}
	return nil
}

// modulePrefix is the first byte of a module's public key, which NATS's own library does not know.
const modulePrefix = 12 << 3

func isModule(key string) bool {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key)
	const size = 1 + 32 + 2
	return err == nil && len(raw) == size && raw[0] == modulePrefix && binary.LittleEndian.Uint16(raw[size-2:]) == checksum(raw[:size-2])
}

// checksum is CRC-16/XMODEM.
func checksum(data []byte) uint16 {
	var crc uint16
	for _, b := range data {
		crc ^= uint16(b) << 8
		for range 8 {
			if carry := crc&0x8000 != 0; carry {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
