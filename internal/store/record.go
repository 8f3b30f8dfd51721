package store

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Headers of a message of the store, beside those of JetStream.
const (
	headerFormat  = "Trellis-Format"  // version of this format
	headerPrev    = "Trellis-Prev"    // revision that this one replaces; 0 for a created object
	headerOp      = "Trellis-Op"      // opDelete for a tombstone; absent for a put
	headerExpires = "Trellis-Expires" // when the object is to be deleted, in milliseconds since 1970

	opDelete = "delete"

	// formatVersion is written. A reader accepts it and the next one: replicas of two neighbouring releases run together.
	formatVersion = 1
)

// version is one state of an object. It never changes, so readers share it.
type version struct {
	seq     uint64
	prev    uint64
	deleted bool // body is the last state before the deletion
	expires time.Time
	id      string // message id of the publish that wrote it
	size    int
	body    packed // nil when it must be fetched from the stream (index.shed), and for objects of other clusters
	broken  error  // why this version can't be read
}

func (v *version) live() bool { return v != nil && !v.deleted }

// created says whether the object did not exist before.
func (v *version) created() bool { return v.prev == 0 }

// parseVersion reads headers and body of an object's message.
func parseVersion(seq uint64, header nats.Header, body []byte) *version {
	v := &version{seq: seq, deleted: header.Get(headerOp) == opDelete, id: header.Get(nats.MsgIdHdr), body: pack(body), size: len(body)}
	format, err := strconv.Atoi(header.Get(headerFormat))
	if err != nil || format < 1 || format > formatVersion+1 {
		v.broken = fmt.Errorf("revision %d has format %q, this release reads %d and %d",
			seq, header.Get(headerFormat), formatVersion, formatVersion+1)
	}
	if v.prev, err = strconv.ParseUint(header.Get(headerPrev), 10, 64); err != nil {
		v.broken = fmt.Errorf("revision %d does not name its predecessor: %w", seq, err)
	}
	if text := header.Get(headerExpires); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			v.broken = fmt.Errorf("revision %d has an unreadable expiry: %w", seq, err)
		}
		v.expires = time.UnixMilli(ms)
	}
	return v
}

// objectHeader is what parseVersion reads.
func objectHeader(prev uint64, deleted bool, expires time.Time) nats.Header {
	h := nats.Header{}
	h.Set(headerFormat, strconv.Itoa(formatVersion))
	h.Set(headerPrev, strconv.FormatUint(prev, 10))
	if deleted {
		h.Set(headerOp, opDelete)
	}
	if !expires.IsZero() {
		h.Set(headerExpires, strconv.FormatInt(expires.UnixMilli(), 10))
	}
	return h
}

// compactRecord is the body of the meta.compact message.
type compactRecord struct {
	Format   int    `json:"format"`
	Revision uint64 `json:"revision"`
}
