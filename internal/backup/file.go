// Package backup is the file of `trellis backup`: snapshots of JetStream streams behind a header, with a checksum at the
// end, and the way to get them out of one server and into another. docs/spec/store.md describes the file.
package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// FormatVersion is written. A reader accepts it and nothing else.
const FormatVersion = 1

const magic = "TRELLIS-BACKUP\n"

// The file is the magic line and then frames: one byte of kind, four of length (big endian), the content.
const (
	frameHeader byte = 'H' // Header as JSON, once, first
	frameStream byte = 'S' // Stream as JSON: its snapshot follows
	frameChunk  byte = 'C' // a piece of the snapshot
	frameEnd    byte = 'E' // SHA-256 of all before this frame

	frameHead = 5
	// maxFrame bounds what a broken file makes a reader allocate; chunks of a snapshot have 128 KiB.
	maxFrame = 4 << 20
)

// Header says what the file is.
type Header struct {
	Format int `json:"format"`
	// Program that wrote the file.
	Program string    `json:"program"`
	Time    time.Time `json:"time"`
	// Identity and LastSequence of the object stream.
	Identity     string `json:"identity"`
	LastSequence uint64 `json:"lastSequence"`
	// Clusters whose objects it holds, by the UID of kube-system.
	Clusters []string `json:"clusters"`
	// Objects is the number of messages about objects, the deleted and superseded ones included.
	Objects uint64 `json:"objects"`
}

// Stream is one stream of the file.
type Stream struct {
	Name string `json:"name"`
	// Lattice whose ledger it is; empty for the object stream.
	Lattice string `json:"lattice,omitempty"`
	// Config and State as JetStream gave them.
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
}

// ErrBroken says that a file is no backup, or not a whole one.
var ErrBroken = errors.New("this is not a whole backup of Trellis")

// Writer writes a backup: Header once, then for each stream Stream and its snapshot, then Close.
type Writer struct {
	out io.Writer
	sum hash.Hash
}

// NewWriter begins a file.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	w := &Writer{sum: sha256.New()}
	w.out = io.MultiWriter(out, w.sum)
	if _, err := io.WriteString(w.out, magic); err != nil {
		return nil, err
	}
	h.Format = FormatVersion
	return w, w.json(frameHeader, h)
}

// Stream begins a stream; what is written to the Writer from then on is its snapshot.
func (w *Writer) Stream(s Stream) error { return w.json(frameStream, s) }

// Write implements io.Writer.
func (w *Writer) Write(chunk []byte) (int, error) {
	for rest := chunk; len(rest) > 0; {
		n := min(len(rest), maxFrame)
		if err := w.frame(frameChunk, rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(chunk), nil
}

// Close ends the file with its checksum. It does not close what the file is written to.
func (w *Writer) Close() error { return w.frame(frameEnd, w.sum.Sum(nil)) }

func (w *Writer) json(kind byte, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode a part of the backup: %w", err)
	}
	return w.frame(kind, content)
}

func (w *Writer) frame(kind byte, content []byte) error {
	if len(content) > maxFrame {
		return fmt.Errorf("a part of the backup has %d bytes, %d are the limit", len(content), maxFrame)
	}
	head := make([]byte, frameHead)
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(content)))
	if _, err := w.out.Write(head); err != nil {
		return err
	}
	_, err := w.out.Write(content)
	return err
}

// Reader reads a backup from its beginning to its end.
type Reader struct {
	Header Header

	in      *bufio.Reader
	sum     hash.Hash
	pending []byte // the stream frame that was read ahead
	ended   bool
}

// NewReader reads the header.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10), sum: sha256.New()}
	first := make([]byte, len(magic))
	if _, err := io.ReadFull(r.in, first); err != nil || string(first) != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrBroken)
	}
	r.sum.Write(first)
	kind, content, err := r.frame()
	if err != nil {
		return nil, err
	}
	if kind != frameHeader || json.Unmarshal(content, &r.Header) != nil {
		return nil, fmt.Errorf("%w: its header can't be read", ErrBroken)
	}
	if r.Header.Format != FormatVersion {
		return nil, fmt.Errorf("the backup has format %d, this release reads %d; use the release that wrote it: %s",
			r.Header.Format, FormatVersion, r.Header.Program)
	}
	return r, nil
}

// Next returns the next stream and its snapshot, which must be read to its end before the next call; io.EOF after the
// last one, when the checksum was right.
func (r *Reader) Next() (Stream, io.Reader, error) {
	content := r.pending
	r.pending = nil
	if content == nil {
		if r.ended {
			return Stream{}, nil, io.EOF
		}
		kind, next, err := r.frame()
		switch {
		case err != nil:
			return Stream{}, nil, err
		case kind == frameEnd:
			return Stream{}, nil, io.EOF
		case kind != frameStream:
			return Stream{}, nil, fmt.Errorf("%w: a stream was expected", ErrBroken)
		}
		content = next
	}
	var s Stream
	if err := json.Unmarshal(content, &s); err != nil || s.Name == "" {
		return Stream{}, nil, fmt.Errorf("%w: the description of a stream can't be read", ErrBroken)
	}
	return s, &chunks{reader: r}, nil
}

// frame returns the next frame. The end frame is only returned when its checksum is right and nothing follows.
func (r *Reader) frame() (kind byte, content []byte, err error) {
	head := make([]byte, frameHead)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return 0, nil, fmt.Errorf("%w: its end is missing", ErrBroken)
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, fmt.Errorf("%w: a part of %d bytes", ErrBroken, size)
	}
	content = make([]byte, size)
	if _, err := io.ReadFull(r.in, content); err != nil {
		return 0, nil, fmt.Errorf("%w: its end is missing", ErrBroken)
	}
	if head[0] != frameEnd {
		r.sum.Write(head)
		r.sum.Write(content)
		return head[0], content, nil
	}
	r.ended = true
	if string(content) != string(r.sum.Sum(nil)) {
		return 0, nil, fmt.Errorf("%w: its checksum is wrong", ErrBroken)
	}
	if _, err := r.in.ReadByte(); err != io.EOF {
		return 0, nil, fmt.Errorf("%w: something follows its end", ErrBroken)
	}
	return frameEnd, content, nil
}

// chunks is the snapshot of one stream.
type chunks struct {
	reader *Reader
	rest   []byte
	done   bool
}

// Read implements io.Reader.
func (c *chunks) Read(into []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.done {
			return 0, io.EOF
		}
		kind, content, err := c.reader.frame()
		if err != nil {
			return 0, err
		}
		switch kind {
		case frameChunk:
			c.rest = content
		case frameStream:
			c.reader.pending, c.done = content, true
		case frameEnd:
			c.done = true
		default:
			return 0, fmt.Errorf("%w: an unknown part %q", ErrBroken, kind)
		}
	}
	n := copy(into, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Verify reads a whole file and returns its header and streams.
func Verify(in io.Reader) (Header, []Stream, error) {
	r, err := NewReader(in)
	if err != nil {
		return Header{}, nil, err
	}
	var streams []Stream
	for {
		s, snapshot, err := r.Next()
		if err == io.EOF {
			return r.Header, streams, nil
		}
		if err == nil {
			_, err = io.Copy(io.Discard, snapshot)
		}
		if err != nil {
			return Header{}, nil, err
		}
		streams = append(streams, s)
	}
}
