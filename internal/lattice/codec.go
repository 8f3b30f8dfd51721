package lattice

import (
	"bytes"
	"encoding/json"
	"fmt"

	kjson "sigs.k8s.io/json"
)

// MaxMessageBytes bounds what is decoded. NATS's default payload limit is 1 MiB and its recommended maximum 8 MiB.
const MaxMessageBytes = 8 << 20

// checker is implemented by messages with required members.
type checker interface{ check() error }

// Decode reads one message. Member names are matched exactly (hosts do, encoding/json does not), unknown members are
// ignored, required ones are checked. Errors wrap ErrMalformed or ErrTooLarge.
func Decode[T any](data []byte) (T, error) {
	var v T
	if err := decodeInto(data, &v); err != nil {
		var none T
		return none, err
	}
	return v, nil
}

func decodeInto[T any](data []byte, v *T) error {
	if len(data) > MaxMessageBytes {
		return fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, len(data), MaxMessageBytes)
	}
	if err := unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if c, ok := any(v).(checker); ok {
		if err := c.check(); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	return nil
}

// Encode writes one message as hosts do: no HTML escapes, no trailing newline.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func unmarshal(data []byte, v any) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(data, v)
}

func require(member, value string) error {
	if value == "" {
		return fmt.Errorf("member %q is missing or empty", member)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// StringMap is a JSON object of strings that is written as {} when empty, never as null.
type StringMap map[string]string

// MarshalJSON writes {} for a nil map.
func (m StringMap) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("{}"), nil
	}
	return Encode(map[string]string(m))
}

// List is a JSON array that is written as [] when empty, never as null.
type List[T any] []T

// MarshalJSON writes [] for a nil list.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return Encode([]T(l))
}
