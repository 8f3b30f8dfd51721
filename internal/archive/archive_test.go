package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/trellis-operator/trellis/internal/archive"
	"github.com/trellis-operator/trellis/test/wasm/sign"
)

func signed(t testing.TB) []byte {
	t.Helper()
	account, _ := sign.Seeds("archive")
	packed, err := sign.Archive(map[string][]byte{"x86_64-linux": []byte("program"), "aarch64-macos": []byte("another")},
		sign.ProviderOptions{Account: account, Provider: sign.ProviderSeed("archive"), Name: "db", Vendor: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

var (
	claims  = sign.Entry{Name: sign.ClaimsEntry, Content: []byte("a.b.c")}
	program = sign.Entry{Name: "x86_64-linux.bin", Content: bytes.Repeat([]byte("program"), 10000)}
)

func TestToken(t *testing.T) {
	other := sign.Entry{Name: sign.ClaimsEntry, Content: []byte("d.e.f")}
	folder, link := tarOf(tar.TypeDir, "claims/"), tarOf(tar.TypeSymlink, "claims.jwt")
	for name, tc := range map[string]struct {
		archive []byte
		want    string
	}{
		"compressed":          {sign.Compress(sign.Tar(claims, program)), "a.b.c"},
		"plain":               {sign.Tar(claims, program), "a.b.c"},
		"last":                {sign.Compress(sign.Tar(program, claims)), "a.b.c"},
		"first of two":        {sign.Tar(claims, program, other), "a.b.c"},
		"in a folder":         {sign.Tar(program, sign.Entry{Name: "./par/claims.jwt", Content: claims.Content}), "a.b.c"},
		"without an end":      {sign.Tar(sign.Entry{Name: "claims", Content: claims.Content}), "a.b.c"},
		"not signed":          {sign.Compress(sign.Tar(program)), ""},
		"claims of something": {sign.Tar(sign.Entry{Name: "x.claims", Content: claims.Content}, sign.Entry{Name: ".claims", Content: claims.Content}), ""},
		"no file":             {append(folder, sign.Tar(program)...), ""},
		"a link":              {append(link, sign.Tar(program)...), ""},
		"nothing in it":       {sign.Compress(sign.Tar()), ""},
	} {
		got, err := archive.Token(bytes.NewReader(tc.archive))
		if err != nil || got != tc.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tc.want)
		}
	}
	if got, err := archive.Token(iotest.OneByteReader(bytes.NewReader(signed(t)))); err != nil || strings.Count(got, ".") != 2 {
		t.Errorf("as wash packs it: %q, %v", got, err)
	}
}

// tarOf is the one entry of a kind, without the end of an archive.
func tarOf(kind byte, name string) []byte {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := w.WriteHeader(&tar.Header{Typeflag: kind, Name: name, Linkname: "x"}); err != nil {
		panic(err)
	}
	return packed.Bytes()
}

var errAway = errors.New("away")

func TestToken_Errors(t *testing.T) {
	whole := signed(t)
	large := sign.Entry{Name: sign.ClaimsEntry, Content: make([]byte, 64<<10+1)}
	for name, tc := range map[string]struct {
		archive io.Reader
		want    error
	}{
		"empty file of gzip":    {strings.NewReader("\x1f\x8b"), archive.ErrForm},
		"no tar":                {strings.NewReader(strings.Repeat("text", 1000)), archive.ErrForm},
		"compressed text":       {bytes.NewReader(sign.Compress(bytes.Repeat([]byte("text"), 1000))), archive.ErrForm},
		"cut":                   {bytes.NewReader(whole[:100]), archive.ErrForm},
		"changed":               {bytes.NewReader(append(bytes.Clone(whole[:60]), 0xff, 0xff, 0xff)), archive.ErrForm},
		"token too large":       {bytes.NewReader(sign.Tar(large)), archive.ErrToken},
		"registry away":         {io.MultiReader(bytes.NewReader(sign.Tar(program)[:5000]), iotest.ErrReader(errAway)), errAway},
		"registry away at once": {iotest.ErrReader(errAway), errAway},
	} {
		if got, err := archive.Token(tc.archive); !errors.Is(err, tc.want) || got != "" {
			t.Errorf("%s: %q, %v; want %v", name, got, err, tc.want)
		}
	}
}

// TestToken_Bombs: what unpacks to very much ends with a plain error, and takes no memory.
func TestToken_Bombs(t *testing.T) {
	header := func(size int64) []byte {
		var packed bytes.Buffer
		if err := tar.NewWriter(&packed).WriteHeader(&tar.Header{Name: "x.bin", Size: size, Format: tar.FormatGNU}); err != nil {
			t.Fatal(err)
		}
		return packed.Bytes()
	}
	const size = 64 << 20
	behind := io.MultiReader(bytes.NewReader(header(size)), io.LimitReader(zeros{}, size), bytes.NewReader(sign.Tar(claims)))
	for name, packed := range map[string]io.Reader{
		"one file without an end":   io.MultiReader(bytes.NewReader(header(1<<40)), zeros{}),
		"files without an end":      bytes.NewReader(bytes.Repeat(tarOf(tar.TypeReg, "x.bin"), 2000)),
		"token behind the limit":    behind,
		"compressed, small as sent": bytes.NewReader(bomb(t, header(1<<40), size)),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := archive.Token(packed)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, archive.ErrFar) || got != "" {
				t.Errorf("%q, %v; want %v", got, err, archive.ErrFar)
			}
			if taken := after.TotalAlloc - before.TotalAlloc; taken > 16<<20 {
				t.Errorf("it took %d MiB", taken>>20)
			}
		})
	}
}

// bomb is something compressed, and so many zeros after it. Compressing as many takes long: a block of them, which refers to
// nothing but zeros before it, is repeated.
func bomb(t *testing.T, head []byte, size int) []byte {
	t.Helper()
	const block = 1 << 20
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	var ends []int
	for _, part := range [][]byte{head, make([]byte, block), make([]byte, block)} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, packed.Len())
	}
	return append(packed.Bytes()[:ends[1]:ends[1]], bytes.Repeat(packed.Bytes()[ends[1]:ends[2]], size/block)...)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestToken_Stops: behind the token nothing is read but what was in the buffers.
func TestToken_Stops(t *testing.T) {
	rest := iotest.ErrReader(errors.New("read on"))
	packed := sign.Tar(claims, program, program)
	if got, err := archive.Token(io.MultiReader(bytes.NewReader(packed[:8192]), rest)); err != nil || got != "a.b.c" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzToken(f *testing.F) {
	f.Add(signed(f))
	f.Add(sign.Tar(program, claims))
	f.Add(sign.Compress(sign.Tar()))
	f.Add(tarOf(tar.TypeReg, strings.Repeat("a/", 200)+"claims.jwt"))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := archive.Token(bytes.NewReader(data))
		if len(got) > 64<<10 || err != nil && got != "" {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		known := errors.Is(err, archive.ErrForm) || errors.Is(err, archive.ErrFar) || errors.Is(err, archive.ErrToken)
		if err != nil && !known {
			t.Errorf("an error of nobody: %v", err)
		}
	})
}
