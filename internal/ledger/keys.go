package ledger

import (
	"errors"
	"strings"
)

// Keys of the bucket:
//
//	claim.<kind>.<name>       a Claim
//	teardown.<cluster>.<id>   a Teardown
//	home.<cluster>            a Home
//
// Each part is one token, whatever its text.
const (
	claimSpace    = "claim"
	teardownSpace = "teardown"
	homeSpace     = "home"
)

// TeardownPrefix is what the keys of teardown records begin with.
const TeardownPrefix = teardownSpace + "."

const hexDigits = "0123456789ABCDEF"

// key joins a space and encoded parts.
func key(space string, parts ...string) string {
	var b strings.Builder
	b.WriteString(space)
	for _, part := range parts {
		b.WriteByte('.')
		encode(&b, part)
	}
	return b.String()
}

// encode writes a text as one token: letters, digits, "-" and "_" stand for themselves, another byte is "=" and two
// hexadecimal digits, the empty text is a single "=".
func encode(b *strings.Builder, text string) {
	if text == "" {
		b.WriteByte('=')
		return
	}
	for i := range len(text) {
		if c := text[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

var errKey = errors.New("this key was not written by Trellis")

// parseKey returns the decoded parts of a key of a space.
func parseKey(space, full string, parts int) ([]string, error) {
	rest, ok := strings.CutPrefix(full, space+".")
	if !ok {
		return nil, errKey
	}
	tokens := strings.Split(rest, ".")
	if len(tokens) != parts {
		return nil, errKey
	}
	for i, token := range tokens {
		text, err := decodeToken(token)
		if err != nil {
			return nil, err
		}
		tokens[i] = text
	}
	return tokens, nil
}

// decodeToken accepts what encode writes and nothing else.
func decodeToken(token string) (string, error) {
	if token == "=" {
		return "", nil
	}
	if token == "" {
		return "", errKey
	}
	out := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if plain(c) {
			out = append(out, c)
			continue
		}
		if c != '=' || i+2 >= len(token) {
			return "", errKey
		}
		high, low := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
		if high < 0 || low < 0 || plain(byte(high<<4|low)) {
			return "", errKey
		}
		out = append(out, byte(high<<4|low))
		i += 2
	}
	return string(out), nil
}
