package store

import (
	"errors"
	"fmt"
	"strings"
)

// DefaultStream is the name of the stream that holds every API object.
const DefaultStream = "TRELLIS_OBJECTS"

const (
	objectSpace = "obj"
	metaSpace   = "meta"

	// metaOrigin is the first message of a stream: revision 1 exists before the first object does.
	metaOrigin = "origin"
	// metaCompact holds the revision up to which history was given up.
	metaCompact = "compact"
	// metaReserve holds nothing: it takes the room that a compaction needs when all else is full.
	metaReserve = "reserve"

	// formatRestoring stands in the place of the format's version while a restore fills the stream.
	formatRestoring = "restoring"

	// maxSubject keeps a publish inside the 4 KiB that nats-server allows for a protocol line.
	maxSubject = 3000
)

// location names one object of one cluster. Path is the rest of the storage key: "namespace/name", or "name".
type location struct {
	cluster, resource, path string
}

// key is the location as a sortable string. A cluster and a resource hold no "/" (layout.check), so no two locations
// share a key, and the keys of a namespace are exactly those with the prefix "…/namespace/".
func (l location) key() string { return l.cluster + "/" + l.resource + "/" + l.path }

// Subjects are <stream>.<identity>.obj.<cluster>.<resource>.<segment>… with one token for each segment of the path, and
// <stream>.<identity>.meta.<name> for what the store keeps for itself. The identity of the stream is in them so that a
// write meant for one stream never reaches another that took its name. Inside the package a subject is only its tail,
// from "obj" or "meta" on.

// head is the beginning of all subjects of a stream.
func head(stream, identity string) string { return stream + "." + identity + "." }

func metaTail(name string) string { return metaSpace + "." + name }

// tailOf returns the tail of an object's subject.
func tailOf(at location) (string, error) {
	var b strings.Builder
	b.WriteString(objectSpace)
	for _, segment := range append([]string{at.cluster, at.resource}, strings.Split(at.path, "/")...) {
		b.WriteByte('.')
		encodeToken(&b, segment)
	}
	if b.Len() > maxSubject {
		return "", fmt.Errorf("the key of this object needs %d bytes, %d are the limit", b.Len(), maxSubject)
	}
	return b.String(), nil
}

// parseTail is the inverse of tailOf and metaTail. Exactly one of the results is set; ok is false for a tail that they
// never produce.
func parseTail(tail string) (at location, meta string, ok bool) {
	space, rest, found := strings.Cut(tail, ".")
	if !found {
		return location{}, "", false
	}
	if space == metaSpace {
		return location{}, rest, true
	}
	tokens := strings.Split(rest, ".")
	if space != objectSpace || len(tokens) < 3 {
		return location{}, "", false
	}
	for i, token := range tokens {
		segment, err := decodeToken(token)
		if err != nil {
			return location{}, "", false
		}
		tokens[i] = segment
	}
	at = location{cluster: tokens[0], resource: tokens[1], path: strings.Join(tokens[2:], "/")}
	return at, "", checkSegment(at.cluster) == nil && checkSegment(at.resource) == nil
}

func checkSegment(s string) error {
	if s == "" || strings.Contains(s, "/") {
		return fmt.Errorf("%q is empty or has a slash", s)
	}
	return nil
}

const hexDigits = "0123456789ABCDEF"

// encodeToken writes a string as one NATS token: letters, digits, "-" and "_" stand for themselves, any other byte is
// "=" and two hexadecimal digits, and the empty string is a single "=". Every string has exactly one encoding.
func encodeToken(b *strings.Builder, s string) {
	if s == "" {
		b.WriteByte('=')
		return
	}
	for i := range len(s) {
		c := s[i]
		if isPlain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

var errToken = errors.New("this subject was not written by Trellis")

// decodeToken accepts what encodeToken writes and nothing else, so that two subjects never mean the same object.
func decodeToken(token string) (string, error) {
	if token == "=" {
		return "", nil
	}
	if token == "" {
		return "", errToken
	}
	out := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if isPlain(c) {
			out = append(out, c)
			continue
		}
		if c != '=' || i+2 >= len(token) {
			return "", errToken
		}
		high, low := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
		if high < 0 || low < 0 || isPlain(byte(high<<4|low)) {
			return "", errToken
		}
		out = append(out, byte(high<<4|low))
		i += 2
	}
	return string(out), nil
}
