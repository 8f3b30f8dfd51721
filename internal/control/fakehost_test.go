package control_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const (
	hostA = "NAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	hostB = "NBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
)

// responder answers like one host: by a function of the operation, or not at all where that has no answer.
type responder struct {
	id     string
	answer func(op lattice.Operation, body []byte) []lattice.Reply
}

func (r responder) run(t *testing.T, conn *nats.Conn, name string) {
	t.Helper()
	subjects, err := lattice.NewSubjects("", name)
	if err != nil {
		t.Fatal(err)
	}
	subs, err := subjects.HostSubscriptions(r.id, true, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range subs {
		handle := func(msg *nats.Msg) {
			op, err := subjects.Parse(msg.Subject)
			if err != nil {
				respond(t, msg, lattice.Refused(err.Error()))
				return
			}
			for _, reply := range r.answer(op, msg.Data) {
				respond(t, msg, reply)
			}
		}
		var err error
		if s.Queue == "" {
			_, err = conn.Subscribe(s.Subject, handle)
		} else {
			_, err = conn.QueueSubscribe(s.Subject, s.Queue, handle)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

func respond(t *testing.T, msg *nats.Msg, reply lattice.Reply) {
	data, err := lattice.Encode(reply)
	if err != nil {
		t.Error(err)
		return
	}
	if err := msg.Respond(data); err != nil && !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
}

func payload(t *testing.T, v any) []lattice.Reply {
	reply, err := lattice.Answer(v)
	if err != nil {
		t.Error(err)
	}
	return []lattice.Reply{reply}
}
