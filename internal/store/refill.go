package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Description is what a stream of objects holds.
type Description struct {
	Mark
	// Exists is false when there is no stream; then all else is zero.
	Exists bool
	// Restoring says that a restore has not ended.
	Restoring bool
	// Objects is the number of messages about objects.
	Objects uint64
	// Clusters by id.
	Clusters []string
}

// Describe looks at the stream of a configuration without serving it.
func Describe(ctx context.Context, cfg Config) (Description, error) {
	_, stream, err := cfg.look(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Description{}, nil
	}
	if err != nil {
		return Description{}, fmt.Errorf("look at stream %s: %w", cfg.Stream, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(cfg.Stream+".*."+objectSpace+".>"))
	if err != nil {
		return Description{}, fmt.Errorf("look at stream %s: %w", cfg.Stream, err)
	}
	d := Description{
		Exists: true, Restoring: info.Config.Metadata[metadataFormat] == formatRestoring,
		Mark: Mark{Identity: info.Config.Metadata[metadataIdentity], Revision: info.State.LastSeq},
	}
	for subject, count := range info.State.Subjects {
		d.Objects += count
		at, _, ok := parseTail(strings.TrimPrefix(subject, head(cfg.Stream, d.Identity)))
		if ok && !slices.Contains(d.Clusters, at.cluster) {
			d.Clusters = append(d.Clusters, at.cluster)
		}
	}
	slices.Sort(d.Clusters)
	return d, nil
}

func (c *Config) look(ctx context.Context) (jetstream.JetStream, jetstream.Stream, error) {
	if c.Stream == "" {
		c.Stream = DefaultStream
	}
	js, err := newJetStream(*c)
	if err != nil {
		return nil, nil, err
	}
	stream, err := js.Stream(ctx, c.Stream)
	return js, stream, err
}

// Refill makes the stream of a configuration anew from the objects that live in another one, with a new identity and
// revisions of a generation above all that were used. Replace allows it to delete the stream that there is, which
// happens last of all that can fail for reasons of the other one. Until all is copied, nobody serves the new stream.
func Refill(ctx context.Context, cfg, from Config, above uint64, replace bool) (Mark, error) {
	objects, err := from.living(ctx)
	if err != nil {
		return Mark{}, fmt.Errorf("read the objects to restore: %w", err)
	}
	js, _, err := cfg.look(ctx)
	switch {
	case err == nil && !replace:
		return Mark{}, fmt.Errorf("stream %s exists", cfg.Stream)
	case err == nil:
		err = js.DeleteStream(ctx, cfg.Stream)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = nil
	}
	if err != nil {
		return Mark{}, fmt.Errorf("make room for stream %s: %w", cfg.Stream, err)
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = 1
	}
	identity, first := newIdentity(), NextGeneration(max(above, 1))
	config := cfg.stream(identity, first, formatRestoring)
	if _, err := js.CreateStream(ctx, config); err != nil {
		return Mark{}, fmt.Errorf("make stream %s: %w; if somebody else was faster, restore again with --replace", cfg.Stream, err)
	}
	if err := pour(ctx, js, head(cfg.Stream, identity), first, objects); err != nil {
		return Mark{}, fmt.Errorf("fill stream %s: %w; restore again with --replace", cfg.Stream, err)
	}
	config.Metadata[metadataFormat] = strconv.Itoa(formatVersion)
	stream, err := js.UpdateStream(ctx, config)
	if err != nil {
		return Mark{}, fmt.Errorf("complete stream %s: %w; restore again with --replace", cfg.Stream, err)
	}
	return Mark{Identity: identity, Revision: stream.CachedInfo().State.LastSeq}, nil
}

// living are the messages of the objects that exist, in the order of their revisions, by the tail of their subjects.
func (c Config) living(ctx context.Context) ([]*nats.Msg, error) {
	js, stream, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	prefix := head(c.Stream, stream.CachedInfo().Config.Metadata[metadataIdentity])
	consumer, err := js.OrderedConsumer(ctx, c.Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{prefix + objectSpace + ".>"}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	newest := map[string]*living{}
	for pending := consumer.CachedInfo().NumPending; pending > 0; {
		msg, err := messages.Next(jetstream.NextMaxWait(readWait))
		if err != nil {
			return nil, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		pending = meta.NumPending
		l, err := parseLiving(msg, meta.Sequence.Stream, prefix)
		if err != nil {
			return nil, err
		}
		// A consumer that began anew in between may show more than the newest of a subject.
		if known := newest[msg.Subject()]; known == nil || known.seq < l.seq {
			newest[msg.Subject()] = l
		}
	}
	var out []*nats.Msg
	for _, l := range slices.SortedFunc(maps.Values(newest), func(a, b *living) int { return cmp.Compare(a.seq, b.seq) }) {
		if l.msg != nil {
			out = append(out, l.msg)
		}
	}
	return out, nil
}

// living is the newest message of a subject; msg is nil for a tombstone.
type living struct {
	seq uint64
	msg *nats.Msg
}

func parseLiving(msg jetstream.Msg, seq uint64, prefix string) (*living, error) {
	v := parseVersion(seq, msg.Headers(), msg.Data())
	if v.broken != nil {
		return nil, fmt.Errorf("%s: %w", msg.Subject(), v.broken)
	}
	if v.deleted {
		return &living{seq: seq}, nil
	}
	header := objectHeader(0, false, v.expires)
	header.Set(headerFormat, msg.Headers().Get(headerFormat))
	return &living{seq: seq, msg: &nats.Msg{Subject: strings.TrimPrefix(msg.Subject(), prefix), Header: header, Data: msg.Data()}}, nil
}

// pour writes, behind a record that all before it is gone, every message under a prefix.
func pour(ctx context.Context, js jetstream.JetStream, prefix string, first uint64, objects []*nats.Msg) error {
	gone, err := json.Marshal(compactRecord{Format: formatVersion, Revision: first - 1})
	if err != nil {
		return err
	}
	var under []jetstream.PubAckFuture
	for _, m := range append([]*nats.Msg{{Subject: metaTail(metaCompact), Header: nats.Header{}, Data: gone}}, objects...) {
		m := &nats.Msg{Subject: prefix + m.Subject, Header: m.Header, Data: m.Data}
		m.Header.Set(nats.MsgIdHdr, nuid.Next())
		m.Header.Set(nats.ExpectedLastSubjSeqHdr, "0")
		if len(under) == pourWindow {
			if err := acknowledgedAll(ctx, under); err != nil {
				return err
			}
			under = under[:0]
		}
		future, err := js.PublishMsgAsync(m)
		if err != nil {
			return err
		}
		under = append(under, future)
	}
	return acknowledgedAll(ctx, under)
}

// readWait bounds the wait for one message, whose server is in this process.
const readWait = 10 * time.Second

// pourWindow is the number of messages under way.
const pourWindow = 200

func acknowledgedAll(ctx context.Context, futures []jetstream.PubAckFuture) error {
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
