package cli

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/trellis-operator/trellis/internal/ociwasm"
	"github.com/trellis-operator/trellis/internal/secrets"
	"github.com/trellis-operator/trellis/internal/wasmhost/token"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

// TestReadEmbedded: what an image must be the token of is what it holds; nothing but the content tells.
func TestReadEmbedded(t *testing.T) {
	program := sign.Tar(sign.Entry{Name: "x86_64-linux.bin", Content: []byte("program")})
	for name, tc := range map[string]struct {
		content []byte
		kind    string
		signed  bool
	}{
		"component":          {signedComponent(t, time.Time{}), secrets.Component, true},
		"unsigned component": {unsignedComponent(t), secrets.Component, false},
		"provider":           {signedProvider(t, nil), secrets.Provider, true},
		"unsigned provider":  {sign.Compress(program), secrets.Provider, false},
		"plain archive":      {program, secrets.Provider, false},
	} {
		for _, pinned := range []bool{false, true} {
			got, err := readEmbedded(iotest.OneByteReader(bytes.NewReader(tc.content)), pinned, time.Now())
			if err != nil || got.kind != tc.kind || (got.token != "") != tc.signed {
				t.Errorf("%s, pinned %v: a %s, signed %v, %v", name, pinned, got.kind, got.token != "", err)
			}
		}
	}
}

// TestReadEmbedded_Pinned: what a digest names is compared with it, and that is known at its end only.
func TestReadEmbedded_Pinned(t *testing.T) {
	packed := signedProvider(t, nil)
	other := func() io.Reader { return io.MultiReader(bytes.NewReader(packed), iotest.ErrReader(errAway)) }
	if got, err := readEmbedded(other(), true, time.Now()); !errors.Is(err, errAway) || got.token != "" {
		t.Errorf("pinned: %v", err)
	}
	large := sign.Tar(sign.Entry{Name: sign.ClaimsEntry, Content: []byte("a.b.c")}, sign.Entry{Name: "x.bin", Content: make([]byte, 1<<20)})
	cut := io.MultiReader(bytes.NewReader(large[:100_000]), iotest.ErrReader(errAway))
	if got, err := readEmbedded(cut, false, time.Now()); err != nil || got.token != "a.b.c" {
		t.Errorf("by tag the rest is fetched too: %v", err)
	}
}

// endless is a component that does not end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, wasmMagic[min(e.read, len(wasmMagic)):])
	if n == 0 {
		n = len(p)
	}
	e.read += n
	return n, nil
}

func TestReadEmbedded_Errors(t *testing.T) {
	large := &endless{}
	if _, err := readEmbedded(large, false, time.Now()); !errors.Is(err, ociwasm.ErrTooLarge) || large.read > maxImage+1<<20 {
		t.Errorf("%v after %d bytes", err, large.read)
	}
	for name, tc := range map[string]struct {
		content io.Reader
		is      error
	}{
		"away at once":    {iotest.ErrReader(errAway), errAway},
		"away":            {io.MultiReader(bytes.NewReader([]byte(wasmMagic)), iotest.ErrReader(errAway)), errAway},
		"other component": {bytes.NewReader(append(signedComponent(t, time.Time{}), 0, 2, 1, 'x')), token.ErrOtherCode},
	} {
		if got, err := readEmbedded(tc.content, false, time.Now()); !errors.Is(err, tc.is) || got.token != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
