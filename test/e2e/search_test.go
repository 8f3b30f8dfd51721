//go:build e2e

package e2e

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// canaryPrefix begins the value of every Secret that a test of this package gives to a component: what is looked for at the
// end of the whole run is any of them.
const canaryPrefix = "canary-"

// newCanary is a value that is nowhere yet.
func newCanary() string { return canaryPrefix + strings.ToLower(rand.Text()) }

// search looks for one value in several forms.
type search struct {
	forms []string
	bytes int
	found []string
}

func (s *search) in(where, text string) {
	s.bytes += len(text)
	if slices.ContainsFunc(s.forms, func(form string) bool { return strings.Contains(text, form) }) {
		s.found = append(s.found, where)
	}
}

// lines looks through what is too large to be held.
func (s *search) lines(where string, from io.Reader) error {
	for reader := bufio.NewReader(from); ; {
		line, err := reader.ReadString('\n')
		s.in(where, line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// formsOf are the ways in which a text shows when somebody prints it: as it is, in hexadecimal, as a list of bytes, and in
// base64, in which what stands before it decides among three forms.
func formsOf(text string) []string {
	raw := []byte(text)
	list := strings.Trim(fmt.Sprint(raw), "[]")
	forms := []string{text, hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), list, strings.ReplaceAll(list, " ", ","), strings.ReplaceAll(list, " ", ", ")}
	for before := range 3 {
		padded := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), raw...))
		// Only the characters that are made of nothing but the text.
		whole := (before + len(raw)) * 8 / 6
		form := padded[(before*8+5)/6 : whole]
		forms = append(forms, form, strings.NewReplacer("+", "-", "/", "_").Replace(form))
	}
	return forms
}

// The search finds what it should find, and not only where somebody wrote a value as it is.
func TestSearch(t *testing.T) {
	value := newCanary()
	for _, shown := range []string{
		"x" + value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprint([]byte("a" + value)),
		base64.StdEncoding.EncodeToString([]byte(value)), base64.StdEncoding.EncodeToString([]byte("?" + value + "?")),
		base64.URLEncoding.EncodeToString([]byte("~?" + value)), base64.StdEncoding.EncodeToString([]byte("abcd" + value + "e")),
		"[" + strings.ReplaceAll(fmt.Sprint([]byte(value)), " ", ",") + "]",
	} {
		for _, text := range []string{value, canaryPrefix} {
			s := &search{forms: formsOf(text)}
			if s.in("here", shown); len(s.found) != 1 {
				t.Errorf("%q is not found in %q by %q", text, shown, s.forms)
			}
		}
	}
	s := &search{forms: formsOf(canaryPrefix)}
	for _, other := range []string{"", "canary", "a canary in a coal mine", base64.StdEncoding.EncodeToString([]byte("Canary-"))} {
		if s.in("here", other); len(s.found) > 0 {
			t.Errorf("%q is taken for a value", other)
		}
	}
}
