package wasmhost

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// handler answers one operation. No reply at all is how a host declines an auction.
type handler func(ctx context.Context, object string, body []byte) (reply lattice.Reply, answer bool)

func (h *Host) handlers() map[string]handler {
	return map[string]handler{
		"host.ping": h.ping, "host.get": h.getInventory, "host.stop": h.stopHost,
		"label.put": h.putLabel, "label.del": h.deleteLabel,
		"component.auction": h.componentAuction, "component.scale": h.scaleComponent, "component.update": h.updateComponent,
		"component.refresh": h.refreshComponent,
		"provider.auction":  h.providerAuction, "provider.start": h.startProvider, "provider.stop": h.stopProvider,
		"link.put": h.putLink, "link.del": h.deleteLink, "link.get": h.getLinks,
		"config.put": h.putConfig, "config.get": h.getConfig, "config.del": h.deleteConfig,
		"claims.get": h.getClaims, "registry.put": h.putRegistries,
	}
}

func (h *Host) subscribe(ctx context.Context) ([]*nats.Subscription, error) {
	wanted, err := h.subjects.HostSubscriptions(h.id, h.config.ComponentAuction, h.config.ProviderAuction)
	if err != nil {
		return nil, err
	}
	handlers := h.handlers()
	receive := func(m *nats.Msg) { h.receive(ctx, handlers, m) }
	made := make([]*nats.Subscription, 0, len(wanted))
	for _, w := range wanted {
		var s *nats.Subscription
		if w.Queue == "" {
			s, err = h.control.Subscribe(w.Subject, receive)
		} else {
			s, err = h.control.QueueSubscribe(w.Subject, w.Queue, receive)
		}
		if err != nil {
			return nil, err
		}
		made = append(made, s)
	}
	s, err := h.followDrains()
	if err != nil {
		return nil, err
	}
	return append(made, s), h.control.Flush()
}

// followDrains hears what the pod of this host asks the operator: that it is about to end. The host needs no answer, and
// asks its clients to connect elsewhere from then on.
func (h *Host) followDrains() (*nats.Subscription, error) {
	subject, err := lattice.DrainSubject(h.config.Lattice)
	if err != nil {
		return nil, err
	}
	return h.control.Subscribe(subject, func(m *nats.Msg) {
		asked, err := lattice.Decode[lattice.DrainRequest](m.Data)
		if err == nil && asked.PodUID == h.copyLabels()[lattice.LabelPodUID] && !h.draining.Swap(true) {
			h.log.Info("The host is about to end")
		}
	})
}

// receive handles a message in a goroutine of its own, except that commands which change one component are queued here,
// in the order they came.
func (h *Host) receive(ctx context.Context, handlers map[string]handler, m *nats.Msg) {
	op, err := h.subjects.Parse(m.Subject)
	if err != nil {
		h.reply(m, lattice.Refused(lattice.MessageUnsupportedSubject))
		return
	}
	handle := handlers[op.Noun+"."+op.Verb]
	work := func() {
		if reply, answer := handle(ctx, op.Object, m.Data); answer {
			h.reply(m, reply)
		}
	}
	if op.Noun == "component" {
		work() // answers at once and queues the rest
		return
	}
	h.groups.Add(1)
	go func() {
		defer h.groups.Done()
		work()
	}()
}

func (h *Host) reply(m *nats.Msg, reply lattice.Reply) {
	if m.Reply == "" {
		return
	}
	body, err := lattice.Encode(reply)
	if err != nil {
		h.log.Error(err, "A reply could not be written", "subject", m.Subject)
		return
	}
	answer := nats.NewMsg(m.Reply)
	answer.Data = body
	for _, name := range []string{"traceparent", "tracestate"} {
		if v := m.Header.Get(name); v != "" {
			answer.Header.Set(name, v)
		}
	}
	if err := h.control.PublishMsg(answer); err != nil {
		h.log.Info("A reply could not be sent", "subject", m.Subject, "reason", err.Error())
	}
}

func accepted(message string) (lattice.Reply, bool) { return lattice.Accepted(message), true }
func refused(message string) (lattice.Reply, bool)  { return lattice.Refused(message), true }

func (h *Host) answer(payload any) (lattice.Reply, bool) {
	reply, err := lattice.Answer(payload)
	if err != nil {
		h.log.Error(err, "A reply could not be written")
		return refused("the reply could not be written")
	}
	return reply, true
}
