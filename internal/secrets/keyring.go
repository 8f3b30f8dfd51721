package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nkeys"
)

// Key is a curve key of the backend.
type Key struct {
	// Seed is its text, SX….
	Seed []byte
	// Made is when it was made, for its age. Zero: unknown.
	Made time.Time
}

// Keyring holds the keys that all replicas share: the first is announced to hosts, all are accepted. Hosts keep what was
// announced for life, so a key goes only when no host is left that heard it. A new key is first given to all replicas as
// the second one, then moved to the front: otherwise hosts that heard it from one replica are refused by another.
type Keyring struct {
	pairs     []nkeys.KeyPair
	announced string
	made      time.Time
}

// NewKeyring reads the keys, the one to be announced first. Errors never hold a seed.
func NewKeyring(keys ...Key) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("the keyring of secrets is empty; give it a seed")
	}
	ring := &Keyring{made: keys[0].Made}
	for i, key := range keys {
		pair, err := nkeys.FromCurveSeed(bytes.TrimSpace(key.Seed))
		if err != nil {
			return nil, fmt.Errorf("key %d of the keyring of secrets is no seed of a curve key; it begins with SX and has 58 characters", i+1)
		}
		ring.pairs = append(ring.pairs, pair)
	}
	public, err := ring.pairs[0].PublicKey()
	if err != nil {
		return nil, fmt.Errorf("write the public key of the keyring of secrets: %w", err)
	}
	ring.announced = public
	return ring, nil
}

// open opens what was sealed for any of the keys. The sender is a curve key.
func (k *Keyring) open(sealed []byte, sender string) ([]byte, error) {
	for _, pair := range k.pairs {
		if body, err := pair.Open(sealed, sender); err == nil {
			return body, nil
		}
	}
	return nil, refuse(DecryptionError, "the request is not sealed for a key of this backend, or was changed")
}

// age of the announced key; false if it is unknown.
func (k *Keyring) age(now time.Time) (time.Duration, bool) {
	return now.Sub(k.made), !k.made.IsZero()
}
