package secrets

import (
	"crypto/ecdh"
	"encoding/base32"
	"encoding/binary"
)

// Kinds of public keys: the first byte, which becomes the first letter.
const (
	keyAccount   = 0       // A
	keyComponent = 12 << 3 // M
	keyHost      = 13 << 3 // N
	keyProvider  = 21 << 3 // V
	keyCurve     = 23 << 3 // X
)

const (
	keyText  = 56
	keyBytes = 32
)

// readKey reads the text of a public key. The library refuses those of components and providers, and reads beyond its
// buffer when a curve key is longer than it should be.
func readKey(text string) (kind byte, raw []byte, ok bool) {
	if len(text) != keyText {
		return 0, nil, false
	}
	all, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(all) != 1+keyBytes+2 { // shorter when there are line ends in it, which the decoder skips
		return 0, nil, false
	}
	body, sum := all[:1+keyBytes], all[1+keyBytes:]
	if binary.LittleEndian.Uint16(sum) != crc16(body) {
		return 0, nil, false
	}
	return body[0], body[1:], true
}

// crc16 is CRC-16/XMODEM.
func crc16(data []byte) uint16 {
	var crc uint16
	for _, b := range data {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// isCurveKey says whether text is the public curve key of somebody: with one of the few points of low order anybody could
// open what is sealed.
func isCurveKey(text string) bool {
	kind, raw, ok := readKey(text)
	if !ok || kind != keyCurve {
		return false
	}
	public, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return false
	}
	anyKey, err := ecdh.X25519().NewPrivateKey(make([]byte, keyBytes))
	if err != nil {
		return false
	}
	_, err = anyKey.ECDH(public)
	return err == nil
}
