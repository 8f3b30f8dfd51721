package sign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/nats-io/nkeys"
)

// modulePrefix and providerPrefix are the first bytes of the public keys of modules (M...) and providers (V...), which
// NATS's own library does not know; seedPrefix and a kind of key make the first two of a seed.
const (
	modulePrefix   = 12 << 3
	providerPrefix = 21 << 3
	seedPrefix     = 18 << 3
)

var errSeed = errors.New("the seed of a module must begin with SM, that of a provider with SV, and be whole")

// Seeds makes the seeds of an account and a module of a name. Anybody can make them: they are for tests.
func Seeds(name string) (account, module string) {
	raw := sha256.Sum256([]byte("account " + name))
	seed, err := nkeys.EncodeSeed(nkeys.PrefixByteAccount, raw[:])
	if err != nil {
		panic(err) // 32 bytes always are a seed
	}
	return string(seed), seedOf(modulePrefix, "module "+name)
}

// ProviderSeed makes the seed of a provider of a name, likewise.
func ProviderSeed(name string) string { return seedOf(providerPrefix, "provider "+name) }

func seedOf(kind byte, from string) string {
	raw := sha256.Sum256([]byte(from))
	return encode(append([]byte{seedPrefix | kind>>5, kind & 31 << 3}, raw[:]...))
}

// ModuleKey returns the public key of a module's seed.
func ModuleKey(seed string) (string, error) { return publicKey(seed, modulePrefix) }

// ProviderKey returns the public key of a provider's seed.
func ProviderKey(seed string) (string, error) { return publicKey(seed, providerPrefix) }

func publicKey(seed string, kind byte) (string, error) {
	raw, err := base32Key.DecodeString(seed)
	const size = 2 + ed25519.SeedSize
	if err != nil || len(raw) != size+2 || encode(raw[:size]) != seed || raw[0] != seedPrefix|kind>>5 || raw[1] != kind&31<<3 {
		return "", errSeed
	}
	key, _ := ed25519.NewKeyFromSeed(raw[2:size]).Public().(ed25519.PublicKey)
	return encode(append([]byte{kind}, key...)), nil
}

// AccountKey returns the public key of an account's seed.
func AccountKey(seed string) (string, error) {
	key, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return "", err
	}
	return key.PublicKey()
}

// encode writes a key as text: with its checksum, CRC-16/XMODEM.
func encode(raw []byte) string {
	var crc uint16
	for _, b := range raw {
		crc ^= uint16(b) << 8
		for range 8 {
			high := crc >> 15
			crc = crc<<1 ^ high*0x1021
		}
	}
	return base32Key.EncodeToString(binary.LittleEndian.AppendUint16(raw, crc))
}
