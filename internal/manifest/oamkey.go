package manifest

import "strings"

// oamKey checks the key of a label or annotation by OAM's rules: an optional DNS-like prefix, a slash, a name.
func oamKey(key string) bool {
	prefix, name, found := strings.Cut(key, "/")
	if !found {
		return oamName(key)
	}
	if prefix == "" || len(prefix) > 253 || !oamName(name) {
		return false
	}
	for _, part := range strings.Split(prefix, ".") {
		if !dnsPart(part) {
			return false
		}
	}
	return true
}

func dnsPart(s string) bool {
	if s == "" || len(s) > 63 || !letter(s[0]) || !letterOrDigit(s[len(s)-1]) {
		return false
	}
	return all(s, func(c byte) bool { return letterOrDigit(c) || c == '-' })
}

func oamName(s string) bool {
	if s == "" || len(s) > 63 || !letterOrDigit(s[0]) || !letterOrDigit(s[len(s)-1]) {
		return false
	}
	return all(s, func(c byte) bool { return letterOrDigit(c) || c == '-' || c == '_' || c == '.' })
}

func all(s string, ok func(byte) bool) bool {
	for i := 0; i < len(s); i++ {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func letter(c byte) bool        { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func letterOrDigit(c byte) bool { return letter(c) || '0' <= c && c <= '9' }
