package orchestrator

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// wireHost is a host on a real NATS server: the control interface and the two buckets, and nothing that runs.
type wireHost struct {
	t        *testing.T
	id       string
	conn     *nats.Conn
	subjects lattice.Subjects
	specs    jetstream.KeyValue
	configs  jetstream.KeyValue
	mu       sync.Mutex
	inv      lattice.Inventory
	failing  map[string]string
}

func startWireHost(t *testing.T, url, id string) *wireHost {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	subjects, err := lattice.NewSubjects("", "default")
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	h := &wireHost{t: t, id: id, conn: conn, subjects: subjects, failing: map[string]string{},
		inv: lattice.Inventory{HostID: id, FriendlyName: "wire-" + id, Version: "1.9.2"}}
	h.specs, h.configs = bucketOf(t, js, "LATTICEDATA_default"), bucketOf(t, js, "CONFIGDATA_default")
	list, err := subjects.HostSubscriptions(id, false, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		// Handlers of a host run beside each other.
		handle := func(m *nats.Msg) { go h.handle(m) }
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
	h.emit(lattice.HostStarted{FriendlyName: h.inv.FriendlyName, Version: "1.9.2"})
	return h
}

func bucketOf(t *testing.T, js jetstream.JetStream, name string) jetstream.KeyValue {
	t.Helper()
	kv, err := js.CreateOrUpdateKeyValue(context.Background(), jetstream.KeyValueConfig{Bucket: name})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func (h *wireHost) emit(data lattice.EventData) {
	e := lattice.Event{ID: "1", Host: h.id, Data: data}
	subject, err := lattice.EventSubject("default", e.Kind())
	if err == nil {
		var body []byte
		if body, err = lattice.EncodeEvent(e); err == nil {
			err = h.conn.Publish(subject, body)
		}
	}
	if err != nil && !h.conn.IsClosed() {
		h.t.Errorf("emit: %v", err)
	}
}

func (h *wireHost) handle(m *nats.Msg) {
	op, err := h.subjects.Parse(m.Subject)
	reply := lattice.Refused(lattice.MessageUnsupportedSubject)
	if err == nil {
		reply = h.answer(op, m.Data)
	}
	data, err := lattice.Encode(reply)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil && !h.conn.IsClosed() {
		h.t.Errorf("respond: %v", err)
	}
}

func (h *wireHost) answer(op lattice.Operation, data []byte) lattice.Reply {
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx := context.Background()
	switch op.Noun + "." + op.Verb {
	case "host.ping":
		return must(lattice.Answer(lattice.HostPing{ID: h.id, FriendlyName: h.inv.FriendlyName, Lattice: "default"}))
	case "host.get":
		return must(lattice.Answer(h.inv))
	case "component.scale":
		return h.scale(must(lattice.Decode[lattice.ScaleComponent](data)))
	case "provider.start":
		return h.startProvider(must(lattice.Decode[lattice.StartProvider](data)))
	case "provider.stop":
		cmd := must(lattice.Decode[lattice.StopProvider](data))
		h.inv.Providers = slices.DeleteFunc(h.inv.Providers, func(p lattice.ProviderDescription) bool { return p.ID == cmd.ProviderID })
		h.emit(lattice.ProviderStopped{HostID: h.id, ProviderID: cmd.ProviderID})
		return lattice.Accepted(lattice.MessageProviderStopped)
	case "config.put":
		must(h.configs.Put(ctx, op.Object, data))
		return lattice.Accepted(lattice.MessageConfigPut)
	case "config.del":
		if err := h.configs.Purge(ctx, op.Object); err != nil {
			return lattice.Refused(err.Error())
		}
		return lattice.Accepted(lattice.MessageConfigDeleted)
	case "link.put", "link.del":
		return h.link(op.Verb == "put", data)
	}
	return lattice.Refused(lattice.MessageUnsupportedSubject)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (h *wireHost) scale(cmd lattice.ScaleComponent) lattice.Reply {
	if reason := h.failing[cmd.ComponentRef]; reason != "" && cmd.Count > 0 {
		h.emit(lattice.ComponentScaleFailed{ComponentID: cmd.ComponentID, HostID: h.id, ImageRef: cmd.ComponentRef, MaxInstances: cmd.Count, Error: reason})
		return lattice.Accepted("")
	}
	h.inv.Components = slices.DeleteFunc(h.inv.Components, func(c lattice.ComponentDescription) bool { return c.ID == cmd.ComponentID })
	if cmd.Count > 0 {
		h.inv.Components = append(h.inv.Components, lattice.ComponentDescription{
			ID: cmd.ComponentID, ImageRef: cmd.ComponentRef, Annotations: cmd.Annotations, MaxInstances: cmd.Count,
		})
	}
	e := lattice.ComponentScaled{ComponentID: cmd.ComponentID, HostID: h.id, ImageRef: cmd.ComponentRef,
		Annotations: cmd.Annotations, MaxInstances: cmd.Count}
	h.emit(e)
	h.emit(e)
	return lattice.Accepted("")
}

func (h *wireHost) startProvider(cmd lattice.StartProvider) lattice.Reply {
	ref := lattice.NormalizeProviderRef(cmd.ProviderRef)
	h.inv.Providers = append(h.inv.Providers, lattice.ProviderDescription{ID: cmd.ProviderID, ImageRef: ref, Annotations: cmd.Annotations})
	h.emit(lattice.ProviderStarted{HostID: h.id, ImageRef: ref, ProviderID: cmd.ProviderID, Annotations: cmd.Annotations})
	return lattice.Accepted(lattice.MessageProviderStarted)
}

// link changes the record of a source.
func (h *wireHost) link(put bool, data []byte) lattice.Reply {
	var l lattice.Link
	var key lattice.LinkKey
	if put {
		l = must(lattice.Decode[lattice.Link](data))
		key = l.Key()
		for _, name := range slices.Concat(l.SourceConfig, l.TargetConfig) {
			if _, err := h.configs.Get(context.Background(), name); err != nil {
				return lattice.Refused(lattice.MessageMissingConfig([]string{name}))
			}
		}
	} else {
		key = must(lattice.Decode[lattice.DeleteLink](data)).Key()
	}
	var spec lattice.ComponentSpec
	if entry, err := h.specs.Get(context.Background(), "COMPONENT_"+key.SourceID); err == nil {
		spec = must(lattice.Decode[lattice.ComponentSpec](entry.Value()))
	}
	spec.Links = slices.DeleteFunc(spec.Links, func(x lattice.Link) bool { return x.Key() == key })
	if put {
		spec.Links = append(spec.Links, l)
	}
	must(h.specs.Put(context.Background(), "COMPONENT_"+key.SourceID, must(lattice.Encode(spec))))
	return lattice.Accepted(strings.TrimSpace(lattice.MessageLinkPut))
}
