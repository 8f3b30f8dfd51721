package store

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestHeader(t *testing.T) {
	expires := time.UnixMilli(1700000000123)
	h := objectHeader(7, true, expires)
	h.Set(nats.MsgIdHdr, "id")
	v := parseVersion(9, h, []byte("body"))
	if v.broken != nil || v.seq != 9 || v.prev != 7 || !v.deleted || !v.expires.Equal(expires) || v.id != "id" || v.size != 4 {
		t.Errorf("the version is %+v", v)
	}
}

func TestHeader_Errors(t *testing.T) {
	for name, change := range map[string]func(nats.Header){
		"no format":         func(h nats.Header) { h.Del(headerFormat) },
		"format of later":   func(h nats.Header) { h.Set(headerFormat, "3") },
		"no predecessor":    func(h nats.Header) { h.Del(headerPrev) },
		"unreadable expiry": func(h nats.Header) { h.Set(headerExpires, "soon") },
	} {
		h := objectHeader(1, false, time.Time{})
		change(h)
		if v := parseVersion(2, h, nil); v.broken == nil {
			t.Errorf("%s: accepted as %+v", name, v)
		}
	}
	h := objectHeader(1, false, time.Time{})
	h.Set(headerFormat, "2")
	if v := parseVersion(2, h, nil); v.broken != nil {
		t.Errorf("the next release's format is refused: %v", v.broken)
	}
}

// FuzzMessage: no message, whoever published it, breaks the index.
func FuzzMessage(f *testing.F) {
	f.Add("obj.c.r.n", "1", "0", "", "", []byte("{}"))
	f.Add("meta.compact", "", "", "", "", []byte(`{"format":1,"revision":99999}`))
	f.Add("meta.compact", "", "", "", "", []byte(`{"format":1,"revision":2}`))
	f.Add("obj.c.r.n", "1", "2", "delete", "5", []byte(nil))
	f.Add("obj..", "x", "x", "x", "x", []byte("x"))
	f.Fuzz(func(t *testing.T, tail, format, prev, op, expires string, body []byte) {
		s := &Store{cfg: Config{Stream: "S"}}
		s.index = newIndex("c")
		good := &nats.Msg{Subject: s.head() + "obj.c.r.n", Header: objectHeader(0, false, time.Time{}), Data: []byte("first")}
		h := nats.Header{headerFormat: {format}, headerPrev: {prev}, headerOp: {op}, headerExpires: {expires}}
		for seq, msg := range []*nats.Msg{good, {Subject: s.head() + tail, Header: h, Data: body}, good} {
			if err := s.applyTo(s.index, msg, uint64(seq+1), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if v, position := s.index.get("c/r/n"); position != 3 || v == nil || v.seq != 3 {
			t.Errorf("the index has %+v at %d", v, position)
		}
		if _, _, ok := s.index.scan("", "\xff", 0); !ok {
			t.Error("the newest state is compacted")
		}
	})
}
