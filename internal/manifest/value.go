package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// decodeJSON reads one JSON value, numbers as written, and refuses what follows it, a member that comes twice, and more
// than MaxDepth levels or MaxNodes values.
func decodeJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	r := reader{dec: dec}
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("trailing characters after the JSON value")
	}
	return v, nil
}

type reader struct {
	dec   *json.Decoder
	nodes int
}

func (r *reader) value(depth int) (any, error) {
	if r.nodes++; r.nodes > MaxNodes || depth > MaxDepth {
		return nil, errTooComplex
	}
	token, err := r.dec.Token()
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return r.object(depth)
	case json.Delim('['):
		return r.array(depth)
	}
	return token, nil
}

func (r *reader) object(depth int) (any, error) {
	object := map[string]any{}
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		key, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name of a member", token)
		}
		if _, twice := object[key]; twice {
			return nil, fmt.Errorf("duplicate field `%s`", key)
		}
		if object[key], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.Token()
	return object, err
}

func (r *reader) array(depth int) (any, error) {
	list := []any{}
	for r.dec.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := r.dec.Token()
	return list, err
}

// unsigned reads a whole number that is not negative, as wadm does: `4`, not `4.0`, not `"4"`.
func unsigned(v any) (uint64, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("invalid type: %s, expected a whole number", describe(v))
	}
	u, err := strconv.ParseUint(n.String(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid value: %s, expected a whole number that is not negative", n)
	}
	return u, nil
}

// describe names a value in errors, in the words of wadm's parser.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("boolean `%t`", v)
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return fmt.Sprintf("integer `%s`", v)
		}
		return fmt.Sprintf("floating point `%s`", v)
	case string:
		return fmt.Sprintf("string %q", shorten(v))
	case []any:
		return "sequence"
	default:
		return "map"
	}
}

func shorten(s string) string {
	const limit = 100
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}

// unmarshalNumbers is json.Unmarshal with numbers kept as written.
func unmarshalNumbers(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(v)
}
