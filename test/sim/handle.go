package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// request is a command on its way through one host.
type request struct {
	verb, object string
	data         []byte
	// key tells requests apart where randomness is wanted.
	key     string
	respond func(host string, answer []byte)
}

// Handle takes a control message as it comes from the wire. Answers come later, from each host that gives one; respond is
// nil where the message has no reply subject. It returns how many hosts listen there: 0 is what a NATS server says as "no
// responders".
func (l *Lattice) Handle(subject string, data []byte, respond func(host string, answer []byte)) (listeners int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	hosts := l.listeners(subject)
	if len(hosts) == 0 {
		return 0
	}
	r := &request{verb: "unsupported", data: data, key: subject, respond: respond}
	if op, err := l.subjects.Parse(subject); err == nil {
		r.verb, r.object = op.Noun+"."+op.Verb, op.Object
	}
	l.counts.Commands[r.verb]++
	now := time.Now()
	if l.config.OnCommand != nil {
		l.config.OnCommand(Command{Time: now, Verb: r.verb, Object: r.object, Data: data})
	}
	for _, h := range hosts {
		rank := hashOf(h.id, subject, string(data))
		if h.mute || l.happens(l.faults.LoseCommand, "lose command", h.id, subject, string(data)) {
			l.counts.Lost++
			continue
		}
		due := now.Add(l.pick(l.config.CommandDelay, "command", h.id, subject, string(data)))
		l.schedule.add(due, rank|1, func() { h.handle(r) })
	}
	return len(hosts)
}

// listeners are the hosts that get a message: all, the one it names, or one of a queue group.
func (l *Lattice) listeners(subject string) []*host {
	tail, ok := strings.CutPrefix(subject, l.base)
	if !ok || len(l.hosts) == 0 {
		return nil
	}
	tokens := strings.Split(tail, ".")
	switch {
	case tail == "host.ping" || tail == "registry.put",
		!l.config.NoAuctions && (tail == "component.auction" || tail == "provider.auction"):
		all := make([]*host, 0, len(l.hosts))
		for _, id := range l.sortedHosts() {
			all = append(all, l.hosts[id])
		}
		return all
	case tokens[0] == "config" && len(tokens) > 1, tokens[0] == "link" && len(tokens) == 2, tail == "claims.get":
		ids := l.sortedHosts()
		return []*host{l.hosts[ids[l.dice.throw("queue", subject).IntN(len(ids))]]}
	case len(tokens) == 3 && slices.Contains([]string{"host", "label", "component", "provider"}, tokens[0]):
		if h := l.hosts[tokens[2]]; h != nil {
			return []*host{h}
		}
	}
	return nil
}

// handlers by verb.
var handlers = map[string]func(*host, *request){
	"host.ping":         (*host).ping,
	"host.get":          func(h *host, r *request) { h.answer(r, h.inventory()) },
	"host.stop":         (*host).stopCommand,
	"label.put":         (*host).putLabel,
	"label.del":         (*host).deleteLabel,
	"component.auction": (*host).auctionComponent,
	"component.scale":   (*host).scale,
	"component.update":  (*host).update,
	"provider.auction":  (*host).auctionProvider,
	"provider.start":    (*host).startProvider,
	"provider.stop":     (*host).stopProvider,
	"link.put":          (*host).putLink,
	"link.del":          (*host).deleteLink,
	"link.get":          (*host).getLinks,
	"config.put":        (*host).putConfig,
	"config.get":        (*host).getConfig,
	"config.del":        (*host).deleteConfig,
	"claims.get":        (*host).getClaims,
	"registry.put":      (*host).putRegistries,
}

func (h *host) handle(r *request) {
	if h.dead {
		return
	}
	if handler := handlers[r.verb]; handler != nil {
		handler(h, r)
		return
	}
	h.refuse(r, lattice.MessageUnsupportedSubject)
}

// decode reads a command; a body that cannot be read is refused with the host's text for that.
func decode[T any](h *host, r *request, refusal string) (T, bool) {
	v, err := lattice.Decode[T](r.data)
	if err != nil {
		h.refuse(r, refusal)
		return v, false
	}
	return v, true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
