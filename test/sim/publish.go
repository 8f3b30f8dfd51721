package sim

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// emit publishes an event of a host.
func (h *host) emit(data lattice.EventData) {
	l := h.l
	kind := string(lattice.Event{Data: data}.Kind())
	random := l.dice.throw("event id", h.id)
	var entropy [10]byte
	binary.BigEndian.PutUint64(entropy[:], random.Uint64())
	binary.BigEndian.PutUint16(entropy[8:], uint16(random.Uint32()))
	now := time.Now()
	body, err := lattice.EncodeEvent(lattice.Event{ID: lattice.EventID(now, entropy), Host: h.id, Time: now, Data: data})
	if err != nil {
		panic(fmt.Sprintf("an event of a simulated host cannot be written: %v", err)) // our own types
	}
	m := Message{Host: h.id, Subject: l.eventSubject(kind), Data: body}
	l.counts.Events[kind]++
	h.send(m, kind)
	if l.happens(l.faults.WrongEvent, "wrong", h.id, kind) {
		h.send(l.wrong(h, m), "wrong")
	}
	l.last[h.id] = m
}

func (l *Lattice) eventSubject(kind string) string {
	return "wasmbus.evt." + l.config.Lattice + "." + kind
}

// wrong is an event that a consumer must survive.
func (l *Lattice) wrong(h *host, m Message) Message {
	switch l.dice.throw("which wrong", h.id).IntN(3) {
	case 0:
		return Message{Host: h.id, Subject: m.Subject, Data: m.Data[:len(m.Data)/2]}
	case 1:
		return Message{Host: h.id, Subject: l.eventSubject("component_pondered"), Data: []byte(`{"specversion":"1.0","id":"1","type":` +
			`"com.wasmcloud.lattice.component_pondered","source":"` + h.id + `","data":{"component_id":7}}`)}
	}
	if before, ok := l.last[h.id]; ok {
		return before
	}
	return m
}

// Emit publishes an event in the name of a host, whether there is such a host or not: a wrong or a late one.
func (l *Lattice) Emit(host string, data lattice.EventData) error {
	e := lattice.Event{ID: "00000000-0000-0000-0000-000000000000", Host: host, Time: time.Now(), Data: data}
	body, err := lattice.EncodeEvent(e)
	if err != nil {
		return fmt.Errorf("emit an event: %w", err)
	}
	l.Publish(Message{Host: host, Subject: l.eventSubject(string(e.Kind())), Data: body})
	return nil
}

// Publish gives subscribers any message.
func (l *Lattice) Publish(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliver(m)
}

// send takes an event through the faults of the host and of the lattice.
func (h *host) send(m Message, kind string) {
	l := h.l
	if len(m.Data) > l.config.MaxPayload {
		l.counts.Oversized++
		return
	}
	if h.held {
		h.out = append(h.out, func() { h.send(m, kind) })
		return
	}
	f := &l.faults
	if h.mute || l.happens(f.LoseEvent, "lose event", h.id, kind) {
		l.counts.Lost++
		return
	}
	delay := l.pick(f.DelayEvent, "delay event", h.id, kind)
	if l.happens(f.LateEvent, "late event", h.id, kind) {
		delay += l.pick(f.LateBy, "late by", h.id, kind)
	}
	times := 1
	if l.happens(f.TwiceEvent, "twice event", h.id, kind) {
		times = 2
	}
	for range times {
		l.arrive(delay, func() { l.deliver(m) })
	}
}

// arrive lets a message take its time, or none.
func (l *Lattice) arrive(delay time.Duration, deliver func()) {
	if delay <= 0 {
		deliver()
		return
	}
	l.after(delay, deliver)
}

func (l *Lattice) deliver(m Message) {
	for _, id := range slices.Sorted(maps.Keys(l.subscribers)) {
		l.subscribers[id](m)
	}
}

// reply sends an answer of a host.
func (h *host) reply(r *request, answer lattice.Reply) {
	l := h.l
	if r.respond == nil || h.dead {
		return
	}
	body, err := lattice.Encode(answer)
	if err != nil {
		panic(fmt.Sprintf("an answer of a simulated host cannot be written: %v", err)) // our own types
	}
	l.counts.Replies++
	h.replyWith(r, body)
}

func (h *host) replyWith(r *request, body []byte) {
	l := h.l
	if len(body) > l.config.MaxPayload {
		l.counts.Oversized++
		return
	}
	if h.held {
		h.out = append(h.out, func() { h.replyWith(r, body) })
		return
	}
	f := &l.faults
	if h.mute || l.happens(f.LoseReply, "lose reply", h.id, r.verb, r.key) {
		l.counts.Lost++
		return
	}
	times := 1
	if l.happens(f.TwiceReply, "twice reply", h.id, r.verb, r.key) {
		times = 2
	}
	for range times {
		l.arrive(l.pick(f.DelayReply, "delay reply", h.id, r.verb, r.key), func() { r.respond(h.id, body) })
	}
}

func (h *host) accept(r *request, message string) { h.reply(r, lattice.Accepted(message)) }
func (h *host) refuse(r *request, message string) { h.reply(r, lattice.Refused(message)) }

func (h *host) answer(r *request, payload any) {
	answer, err := lattice.Answer(payload)
	if err != nil {
		panic(fmt.Sprintf("an answer of a simulated host cannot be written: %v", err)) // our own types
	}
	h.reply(r, answer)
}
