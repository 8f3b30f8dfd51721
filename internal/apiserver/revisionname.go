package apiserver

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
)

const (
	revisionRoot = "/" + v1beta1.GroupName + "/" + applicationRevisions

	maxVersionInName = 100
	hexDigits        = "0123456789ABCDEF"
)

// revisionName is `<application>.<version>`. Names of applications have no dot, so the first one separates.
func revisionName(application, version string) string {
	return application + "." + encodeVersion(version)
}

// revisionKey is the storage key of a revision.
func revisionKey(namespace, application, version string) string {
	return revisionRoot + "/" + namespace + "/" + application + "/" + encodeVersion(version)
}

// keyOfName is revisionKey for the name of a revision; ok is false for a name that no revision has.
func keyOfName(namespace, name string) (string, bool) {
	application, encoded, ok := strings.Cut(name, ".")
	if !ok || application == "" || encoded == "" || strings.ContainsAny(name, "/%") {
		return "", false
	}
	return revisionRoot + "/" + namespace + "/" + application + "/" + encoded, true
}

// encodeVersion writes a version, which may be any text, so that it fits into a name: letters, digits, `-`, `_` and `.`
// stand for themselves, other bytes are `=` and two hexadecimal digits, and a long version is `=` and a digest. No two
// versions share an encoding.
func encodeVersion(version string) string {
	if len(version) > maxVersionInName {
		sum := sha256.Sum256([]byte(version))
		return "=sha256-" + hex.EncodeToString(sum[:])
	}
	var b strings.Builder
	for i := range len(version) {
		c := version[i]
		// A dot alone at the start could make a name that ends a path; escaped, it can't.
		if isPlain(c) && !(c == '.' && i == 0) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// errRevisionName is the answer to a name that no revision has.
func errRevisionName(name string) error {
	return fmt.Errorf("%q is no name of a revision; they are `<application>.<version>`", name)
}
