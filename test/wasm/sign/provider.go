package sign

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

// ProviderOptions say what the token of a provider says.
type ProviderOptions struct {
	// Account and Provider are seeds, SA... and SV...; see Seeds and ProviderSeed.
	Account, Provider string

	Name, Vendor, Version string
	Revision              int32
	IssuedAt, Expires     time.Time
}

type provider struct {
	Name     string            `json:"name"`
	Vendor   string            `json:"vendor"`
	Revision *int32            `json:"rev,omitempty"`
	Version  string            `json:"ver,omitempty"`
	Hashes   map[string]string `json:"target_hashes"`
}

// Entry is a file of an archive.
type Entry struct {
	Name    string
	Content []byte
}

// ClaimsEntry is the file with the token.
const ClaimsEntry = "claims.jwt"

// Archive packs a provider as wash does, compressed: its token first, then a program for each target, such as
// x86_64-linux.
func Archive(programs map[string][]byte, o ProviderOptions) ([]byte, error) {
	text, err := o.token(programs)
	if err != nil {
		return nil, err
	}
	entries := []Entry{{ClaimsEntry, []byte(text)}}
	for _, target := range slices.Sorted(maps.Keys(programs)) {
		entries = append(entries, Entry{target + ".bin", programs[target]})
	}
	return Compress(Tar(entries...)), nil
}

// Tar packs files in their order.
func Tar(entries ...Entry) []byte {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.Name, Size: int64(len(e.Content)), Format: tar.FormatGNU}); err != nil {
			panic(err) // names are short
		}
		if _, err := w.Write(e.Content); err != nil {
			panic(err) // to memory
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return packed.Bytes()
}

// Compress makes a .par a .par.gz.
func Compress(packed []byte) []byte {
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	if _, err := w.Write(packed); err != nil {
		panic(err) // to memory
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return small.Bytes()
}

func (o ProviderOptions) token(programs map[string][]byte) (string, error) {
	account, err := nkeys.FromSeed([]byte(o.Account))
	if err != nil {
		return "", err
	}
	defer account.Wipe()
	issuer, err := account.PublicKey()
	if err != nil {
		return "", err
	}
	subject, err := ProviderKey(o.Provider)
	if err != nil {
		return "", err
	}
	hashes := map[string]string{}
	for target, program := range programs {
		sum := sha256.Sum256(program)
		hashes[target] = strings.ToUpper(hex.EncodeToString(sum[:]))
	}
	id := sha256.Sum256([]byte(subject))
	claims := token.Claims[provider]{
		ID: base32Key.EncodeToString(id[:])[:22], Issuer: issuer, Subject: subject, Revision: 3, Expires: seconds(o.Expires),
		Metadata: &provider{Name: o.Name, Vendor: o.Vendor, Revision: &o.Revision, Version: o.Version, Hashes: hashes},
	}
	if at := seconds(o.IssuedAt); at != nil {
		claims.IssuedAt = *at
	}
	return token.Encode(claims, account)
}
