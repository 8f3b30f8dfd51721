package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trellis-operator/trellis/internal/natsd"
)

const (
	testStream = "OBJECTS"
	many       = 4000
)

// place is a server with or without a JetStream domain.
type place struct {
	Source
	js jetstream.JetStream
}

func startPlace(t *testing.T, domain string) *place {
	t.Helper()
	server := natsd.Run(t, natsd.Options{Domain: domain})
	conn, err := nats.Connect(server.ClientURL(), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	p := &place{Source: Source{Conn: conn, Domain: domain}}
	if domain == "" {
		p.js, err = jetstream.New(conn)
	} else {
		p.js, err = jetstream.NewWithDomain(conn, domain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fill makes a stream of messages that differ in subject, headers and size, with gaps where some were deleted.
func (p *place) fill(t *testing.T) {
	t.Helper()
	stream, err := p.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: testStream, Subjects: []string{testStream + ".>"}, FirstSeq: 1 << 40, AllowDirect: true, Metadata: map[string]string{"id": "X"},
	})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range many {
		body := make([]byte, random.IntN(2000))
		for j := range body {
			body[j] = byte(random.Uint32()) // nothing that compresses well: several pieces
		}
		m := &nats.Msg{Subject: fmt.Sprintf("%s.obj.%d", testStream, i%3000), Data: body, Header: nats.Header{"Trellis-Prev": {fmt.Sprint(i)}}}
		if _, err := p.js.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-p.js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		t.Fatal("the messages were not stored")
	}
	for _, seq := range []uint64{1<<40 + 7, 1<<40 + 8, 1<<40 + many/2} {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
}

// stored is every message of the stream: sequence, time, subject, headers, body.
func (p *place) stored(t *testing.T) map[uint64]string {
	t.Helper()
	consumer, err := p.js.OrderedConsumer(t.Context(), testStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	out := map[uint64]string{}
	for pending := consumer.CachedInfo().NumPending; pending > 0; {
		msg, err := messages.Next(jetstream.NextMaxWait(10 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		pending = meta.NumPending
		out[meta.Sequence.Stream] = fmt.Sprintf("%s %s %v %x", meta.Timestamp.UTC(), msg.Subject(), msg.Headers(), msg.Data())
	}
	return out
}

// backUp writes a file with the one stream.
func (p *place) backUp(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter(&file, header)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Snapshot(t.Context(), testStream, func(config, state json.RawMessage) (io.Writer, error) {
		return w, w.Stream(Stream{Name: testStream, Config: config, State: state})
	})
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// restore reads the first stream of a file into the place.
func (p *place) restore(ctx context.Context, file []byte) error {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return err
	}
	s, snapshot, err := r.Next()
	if err == nil {
		s, err = s.Standalone()
	}
	if err != nil {
		return err
	}
	return p.Restore(ctx, s, snapshot)
}

// A stream of some thousand messages is the same in another server, down to sequences and times.
func TestSnapshotAndRestore(t *testing.T) {
	for _, domains := range [][2]string{{"", ""}, {"hub", "other"}} {
		t.Run(fmt.Sprintf("from domain %q into %q", domains[0], domains[1]), func(t *testing.T) {
			t.Parallel()
			from, into := startPlace(t, domains[0]), startPlace(t, domains[1])
			from.fill(t)
			want := from.stored(t)
			file := from.backUp(t)
			if len(want) != many-3 || bytes.Count(file, []byte{frameChunk, 0, 2, 0, 0}) < 5 {
				t.Fatalf("%d messages in a file of %d bytes: the test proves little", len(want), len(file))
			}
			if err := into.restore(t.Context(), file); err != nil {
				t.Fatal(err)
			}
			got := into.stored(t)
			for seq, message := range want {
				if got[seq] != message {
					t.Fatalf("message %d differs:\n%.200s\n%.200s", seq, message, got[seq])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d messages were restored, want %d", len(got), len(want))
			}
			stream, err := into.js.Stream(t.Context(), testStream)
			if err != nil || stream.CachedInfo().Config.Metadata["id"] != "X" {
				t.Fatalf("the restored stream: %v", err)
			}
			ack, err := into.js.Publish(t.Context(), testStream+".obj.new", nil)
			if err != nil || ack.Sequence != 1<<40+many {
				t.Errorf("the next message: %+v, %v", ack, err)
			}
			if err := into.restore(t.Context(), file); err == nil || !strings.Contains(err.Error(), "JetStream refuses") {
				t.Errorf("a restore over a stream that exists: %v", err)
			}
		})
	}
}

func TestSnapshot_Errors(t *testing.T) {
	p := startPlace(t, "")
	discard := func(config, state json.RawMessage) (io.Writer, error) { return io.Discard, nil }
	if err := p.Snapshot(t.Context(), "NOBODY", discard); !errors.Is(err, ErrNoStream) {
		t.Errorf("a stream that is not there: %v", err)
	}
	elsewhere := Source{Conn: p.Conn, Domain: "nowhere"}
	if err := elsewhere.Snapshot(t.Context(), testStream, discard); err == nil || errors.Is(err, ErrNoStream) {
		t.Errorf("a domain that is not there must not look like a stream that is not there: %v", err)
	}
	p.fill(t)
	full := errors.New("the disk is full")
	err := p.Snapshot(t.Context(), testStream, func(config, state json.RawMessage) (io.Writer, error) { return failing{full}, nil })
	if !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	err = p.Snapshot(t.Context(), testStream, func(config, state json.RawMessage) (io.Writer, error) { return nil, full })
	if !errors.Is(err, full) {
		t.Errorf("no file: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Snapshot(ended, testStream, discard); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	if n := p.Conn.NumSubscriptions(); n > 5 {
		t.Errorf("%d subscriptions are left", n)
	}
}

// A snapshot that is cut off or garbled is an error.
func TestRestore_Errors(t *testing.T) {
	from, into := startPlace(t, ""), startPlace(t, "")
	from.fill(t)
	var snapshot bytes.Buffer
	var description Stream
	err := from.Snapshot(t.Context(), testStream, func(config, state json.RawMessage) (io.Writer, error) {
		description = Stream{Name: testStream, Config: config, State: state}
		return &snapshot, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	whole := snapshot.Bytes()
	lost := errors.New("the file can't be read")
	for what, broken := range map[string]io.Reader{
		"nothing": bytes.NewReader(nil), "half of it": bytes.NewReader(whole[:len(whole)/2]),
		"garbage":          bytes.NewReader(bytes.Repeat([]byte("x"), 500<<10)),
		"a file that ends": io.MultiReader(bytes.NewReader(whole[:chunkSize*2]), errorReader{lost}),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := into.Restore(ctx, description, broken)
		cancel()
		if err == nil {
			t.Errorf("%s is restored", what)
		}
		// JetStream may keep a stream of what it could read, which is why `trellis restore` unpacks in a server of its own.
		if err := into.js.DeleteStream(t.Context(), testStream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Fatal(err)
		}
	}
	if err := into.Restore(t.Context(), description, bytes.NewReader(whole)); err != nil {
		t.Errorf("the whole one, after those: %v", err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestStandalone(t *testing.T) {
	s, err := Stream{Name: "A", Config: json.RawMessage(
		`{"name":"A","num_replicas":3,"placement":{"cluster":"x"},"mirror":{"name":"B"},"sources":[],"republish":{},"metadata":{"id":"X"}}`)}.Standalone()
	if err != nil || string(s.Config) != `{"metadata":{"id":"X"},"name":"A","num_replicas":1}` {
		t.Errorf("the configuration is %s, %v", s.Config, err)
	}
	for _, config := range []string{`{"name":"B"}`, `[]`, `{`} {
		if _, err := (Stream{Name: "A", Config: json.RawMessage(config)}).Standalone(); !errors.Is(err, ErrBroken) {
			t.Errorf("configuration %s: %v", config, err)
		}
	}
}
