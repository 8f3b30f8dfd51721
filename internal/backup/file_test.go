package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var header = Header{
	Format: FormatVersion, Program: "trellis test", Time: time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC),
	Identity: "HRG6QEXRQ37W4MRJ", LastSequence: 42, Clusters: []string{"c1", "c2"}, Objects: 7,
}

// content is a stream and its snapshot, in the pieces that it is written in.
type content struct {
	Stream Stream
	Pieces []string
}

var contents = []content{
	{Stream{Name: "OBJECTS", Config: json.RawMessage(`{"name":"OBJECTS"}`), State: json.RawMessage(`{"last_seq":42}`)}, []string{"one", "", "two"}},
	{Stream{Name: "KV_EMPTY", Lattice: "empty", Config: json.RawMessage(`{}`), State: json.RawMessage(`{}`)}, nil},
	{Stream{Name: "KV_BIG", Lattice: "default", Config: json.RawMessage(`{}`), State: json.RawMessage(`{}`)}, []string{strings.Repeat("x", 300)}},
}

func written(t testing.TB, h Header, list []content) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter(&file, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if err := w.Stream(c.Stream); err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Pieces {
			if n, err := w.Write([]byte(p)); err != nil || n != len(p) {
				t.Fatalf("write %d bytes: %d, %v", len(p), n, err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// read returns the streams of a file with their snapshots in one piece.
func read(file []byte) (Header, []content, error) {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return Header{}, nil, err
	}
	var out []content
	for {
		s, snapshot, err := r.Next()
		if err == io.EOF {
			return r.Header, out, nil
		}
		if err != nil {
			return r.Header, out, err
		}
		all, err := io.ReadAll(snapshot)
		if err != nil {
			return r.Header, out, err
		}
		out = append(out, content{s, []string{string(all)}})
	}
}

func TestRoundTrip(t *testing.T) {
	for _, list := range [][]content{contents, contents[:1], nil} {
		file := written(t, header, list)
		h, got, err := read(file)
		if err != nil {
			t.Fatal(err)
		}
		var want []content
		for _, c := range list {
			want = append(want, content{c.Stream, []string{strings.Join(c.Pieces, "")}})
		}
		if diff := cmp.Diff(header, h) + cmp.Diff(want, got); diff != "" {
			t.Errorf("-written +read\n%s", diff)
		}
		h, streams, err := Verify(bytes.NewReader(file))
		if err != nil || len(streams) != len(list) || h.Identity != header.Identity {
			t.Errorf("Verify: %+v, %d streams, %v", h, len(streams), err)
		}
	}
}

// A snapshot larger than a frame is in several, and a reader that asks for little at a time gets all of it.
func TestLargeSnapshot(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", maxFrame/8)
	file := written(t, header, []content{{Stream: contents[0].Stream, Pieces: []string{large, "end"}}})
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	_, snapshot, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{snapshot}, make([]byte, 1000))
	if want := sha256.Sum256([]byte(large + "end")); err != nil || n != int64(len(large)+3) || !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Errorf("%d bytes of %d: %v", n, len(large)+3, err)
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last stream: %v", err)
	}
}

// boundaries are where the frames of a file begin, and its end.
func boundaries(t *testing.T, file []byte) []int {
	t.Helper()
	list := []int{len(magic)}
	for at := len(magic); at < len(file); {
		at += frameHead + int(binary.BigEndian.Uint32(file[at+1:]))
		list = append(list, at)
	}
	if list[len(list)-1] != len(file) {
		t.Fatalf("the frames end at %v of %d", list, len(file))
	}
	return list
}

// A file that ends anywhere but at its end is no backup: at every byte, and so at every boundary of frames.
func TestTruncated(t *testing.T) {
	file := written(t, header, contents)
	if n := len(boundaries(t, file)); n < 8 {
		t.Fatalf("the file has %d boundaries", n)
	}
	for n := range file {
		if _, _, err := Verify(bytes.NewReader(file[:n])); !errors.Is(err, ErrBroken) {
			t.Errorf("%d of %d bytes: %v", n, len(file), err)
		}
	}
	// A whole frame less, in the middle: the checksum misses it.
	at := boundaries(t, file)
	for i := range len(at) - 1 {
		less := append(bytes.Clone(file[:at[i]]), file[at[i+1]:]...)
		if _, _, err := Verify(bytes.NewReader(less)); !errors.Is(err, ErrBroken) {
			t.Errorf("without frame %d: %v", i, err)
		}
	}
}

// One bit anywhere makes it another file.
func TestFlipped(t *testing.T) {
	file := written(t, header, contents)
	for i := range file {
		for bit := range 8 {
			wrong := bytes.Clone(file)
			wrong[i] ^= 1 << bit
			if _, _, err := Verify(bytes.NewReader(wrong)); err == nil {
				t.Errorf("bit %d of byte %d is flipped, and nobody notices", bit, i)
			}
		}
	}
}

// file is magic and frames with the right checksum at the end.
func framed(frames ...[]byte) []byte {
	file := append([]byte(magic), bytes.Join(frames, nil)...)
	sum := sha256.Sum256(file)
	return append(file, frame(frameEnd, sum[:])...)
}

func frame(kind byte, content []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content))), content...)
}

func TestReader_Errors(t *testing.T) {
	head, _ := json.Marshal(header)
	stream, _ := json.Marshal(contents[0].Stream)
	h, s, c := frame(frameHeader, head), frame(frameStream, stream), frame(frameChunk, []byte("x"))
	if _, _, err := Verify(bytes.NewReader(framed(h, s, c))); err != nil {
		t.Fatalf("the frames of this test: %v", err)
	}
	oversized := binary.BigEndian.AppendUint32([]byte{frameChunk}, maxFrame+1)
	for what, tt := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":                {nil, "does not begin as one"},
		"another file":           {[]byte("PK\x03\x04 this is a zip file, more or less"), "does not begin as one"},
		"no header":              {framed(s, c), "its header can't be read"},
		"a header that is none":  {framed(frame(frameHeader, []byte("{"))), "its header can't be read"},
		"the end as the header":  {framed(), "its header can't be read"},
		"two headers":            {framed(h, h, s), "a stream was expected"},
		"a chunk of no stream":   {framed(h, c, s), "a stream was expected"},
		"a header in a stream":   {framed(h, s, h), "an unknown part"},
		"an unknown part":        {framed(h, s, frame('X', nil)), "an unknown part 'X'"},
		"a stream without name":  {framed(h, frame(frameStream, []byte("{}"))), "the description of a stream"},
		"a stream that is none":  {framed(h, frame(frameStream, []byte("["))), "the description of a stream"},
		"something follows":      {append(framed(h, s), 0), "something follows its end"},
		"two files in one":       {append(framed(h, s), framed(h, s)...), "something follows its end"},
		"a checksum of nothing":  {bytes.Join([][]byte{[]byte(magic), h, s, frame(frameEnd, nil)}, nil), "its checksum is wrong"},
		"a part above the limit": {bytes.Join([][]byte{[]byte(magic), h, s, oversized}, nil), fmt.Sprintf("a part of %d bytes", maxFrame+1)},
	} {
		if _, _, err := Verify(bytes.NewReader(tt.file)); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", what, err, tt.want)
		}
	}
}

// A file of another release names the release that can read it, whatever else is in it.
func TestForeignFormat(t *testing.T) {
	later := header
	later.Format, later.Program = FormatVersion+1, "trellis 9.0.0"
	head, _ := json.Marshal(later)
	_, _, err := Verify(bytes.NewReader(framed(frame(frameHeader, head), frame('Z', nil))))
	if err == nil || !strings.Contains(err.Error(), "has format 2, this release reads 1; use the release that wrote it: trellis 9.0.0") {
		t.Errorf("format 2: %v", err)
	}
}

// A description that is too large is an error of the writer, and what it writes to may fail.
func TestWriter_Errors(t *testing.T) {
	full := errors.New("the disk is full")
	if _, err := NewWriter(failing{full}, header); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	w, err := NewWriter(io.Discard, header)
	if err != nil {
		t.Fatal(err)
	}
	large := Stream{Name: strings.Repeat("x", maxFrame), Config: json.RawMessage("{}"), State: json.RawMessage("{}")}
	if err := w.Stream(large); err == nil || !strings.Contains(err.Error(), "are the limit") {
		t.Errorf("a description of 4 MiB: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzReader: whatever a file says, a reader neither panics nor takes more memory than a frame may have; and what it takes
// for whole is not whole with a byte less.
func FuzzReader(f *testing.F) {
	file := written(f, header, contents)
	for _, seed := range [][]byte{
		file, file[:len(file)/2], framed(), nil, []byte(magic),
		append([]byte(magic), frameHeader, 0xff, 0xff, 0xff, 0xff), append([]byte(magic), frameHeader, 0, 0x40, 0, 0),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := Verify(bytes.NewReader(file))
		runtime.ReadMemStats(&after)
		// The frame, the buffer of the reader, and what JSON makes of its own size.
		if used, limit := after.TotalAlloc-before.TotalAlloc, uint64(maxFrame+4<<20+64*len(file)); used > limit {
			t.Errorf("%d bytes of memory for a file of %d, %d are the limit", used, len(file), limit)
		}
		if err != nil {
			return
		}
		if _, _, err := Verify(bytes.NewReader(file[:len(file)-1])); err == nil {
			t.Error("the file is whole without its last byte, too")
		}
	})
}
