package store

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// packed is a body as the index keeps it: compressed, because most of a replica's memory would be JSON that is seldom read
// a second time. The stream holds the plain form.
type packed []byte

func pack(body []byte) packed {
	if len(body) == 0 {
		return nil
	}
	return bytes.Clone(s2.EncodeBetter(nil, body)) // without the space that a body which cannot be compressed would need
}

func (p packed) plain() ([]byte, error) {
	body, err := s2.Decode(nil, p)
	if err != nil {
		return nil, fmt.Errorf("read a body from memory: %w", err)
	}
	return body, nil
}
