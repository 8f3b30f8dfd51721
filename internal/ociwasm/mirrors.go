package ociwasm

import (
	"fmt"
	"sort"
	"strings"
)

// Mirror makes references that begin with From begin with To instead.
type Mirror struct{ From, To string }

// Mirrors is a list of them; the longest that matches wins.
type Mirrors []Mirror

// ParseMirrors reads `prefix=host:port/prefix`, several divided by commas.
func ParseMirrors(text string) (Mirrors, error) {
	var mirrors Mirrors
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		from, to, ok := strings.Cut(part, "=")
		from, to = strings.TrimSuffix(strings.TrimSpace(from), "/"), strings.TrimSuffix(strings.TrimSpace(to), "/")
		if !ok || from == "" || to == "" {
			return nil, fmt.Errorf("%w: %q is not", ErrMirrors, part)
		}
		mirrors = append(mirrors, Mirror{From: from, To: to})
	}
	sort.SliceStable(mirrors, func(i, j int) bool { return len(mirrors[i].From) > len(mirrors[j].From) })
	return mirrors, nil
}

// Apply returns where a reference is really fetched from. A prefix ends at a slash, colon or the end of the reference,
// so ghcr.io/acme does not match ghcr.io/acme2.
func (m Mirrors) Apply(ref string) string {
	for _, mirror := range m {
		rest, ok := strings.CutPrefix(ref, mirror.From)
		if ok && (rest == "" || strings.ContainsRune("/:@", rune(rest[0]))) {
			return mirror.To + rest
		}
	}
	return ref
}
