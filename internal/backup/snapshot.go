package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
)

// silence is how long JetStream may take between two pieces.
const silence = 30 * time.Second

const (
	// chunkSize of snapshots, and windowSize of what may be under way.
	chunkSize  = 128 << 10
	windowSize = 2 << 20
)

// Source is where streams are: a connection to their account, and the JetStream domain ("": the account's own).
type Source struct {
	Conn   *nats.Conn
	Domain string
}

func (s Source) api(verb string) string {
	if s.Domain == "" {
		return "$JS.API." + verb
	}
	return "$JS." + s.Domain + ".API." + verb
}

type apiError struct {
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (s Source) request(ctx context.Context, subject string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode a request to JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	reply, err := s.Conn.RequestWithContext(ctx, subject, body)
	if err != nil {
		return fmt.Errorf("ask JetStream: %w", err)
	}
	return decode(reply.Data, response)
}

// ErrNoStream says that there is no stream of that name.
var ErrNoStream = errors.New("there is no such stream")

const codeStreamNotFound = 10059

func decode(answer []byte, response any) error {
	var failure struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(answer, &failure); err != nil {
		return fmt.Errorf("decode an answer of JetStream: %w", err)
	}
	if failure.Error != nil && failure.Error.ErrCode == codeStreamNotFound {
		return ErrNoStream
	}
	if failure.Error != nil {
		return fmt.Errorf("JetStream refuses: %s (%d)", failure.Error.Description, failure.Error.ErrCode)
	}
	if response == nil {
		return nil
	}
	if err := json.Unmarshal(answer, response); err != nil {
		return fmt.Errorf("decode an answer of JetStream: %w", err)
	}
	return nil
}

// Snapshot calls begin with the configuration and the state of a stream and writes its snapshot to what begin returns.
// Consumers are left out: they belong to processes.
func (s Source) Snapshot(ctx context.Context, stream string, begin func(config, state json.RawMessage) (io.Writer, error)) error {
	inbox := s.Conn.NewInbox()
	sub, err := s.Conn.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("subscribe for the snapshot: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only without a connection
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return fmt.Errorf("subscribe for the snapshot: %w", err)
	}
	var description struct {
		Config json.RawMessage `json:"config"`
		State  json.RawMessage `json:"state"`
	}
	err = s.request(ctx, s.api("STREAM.SNAPSHOT."+stream), map[string]any{
		"deliver_subject": inbox, "no_consumers": true, "chunk_size": chunkSize, "window_size": windowSize, "jsck": true,
	}, &description)
	if err != nil {
		return fmt.Errorf("take a snapshot of stream %s: %w", stream, err)
	}
	out, err := begin(description.Config, description.State)
	if err != nil {
		return err
	}
	if err := receive(ctx, sub, out); err != nil {
		return fmt.Errorf("take a snapshot of stream %s: %w", stream, err)
	}
	return nil
}

// receive writes the pieces until the empty one that ends them.
func receive(ctx context.Context, sub *nats.Subscription, out io.Writer) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, silence)
		msg, err := sub.NextMsgWithContext(bounded)
		cancel()
		if err != nil {
			return fmt.Errorf("wait for the next piece: %w", err)
		}
		if len(msg.Data) == 0 {
			if status := msg.Header.Get("Status"); status != "" && status != "204" {
				return fmt.Errorf("the server gave up: %s %s", status, msg.Header.Get("Description"))
			}
			return nil
		}
		if _, err := out.Write(msg.Data); err != nil {
			return err
		}
		if msg.Reply != "" {
			if err := msg.Respond(nil); err != nil {
				return fmt.Errorf("acknowledge a piece: %w", err)
			}
		}
	}
}

// Restore makes a stream that does not exist from its snapshot.
func (s Source) Restore(ctx context.Context, stream Stream, snapshot io.Reader) error {
	var accepted struct {
		DeliverSubject string `json:"deliver_subject"`
	}
	err := s.request(ctx, s.api("STREAM.RESTORE."+stream.Name), map[string]any{"config": stream.Config, "state": stream.State}, &accepted)
	if err != nil {
		return fmt.Errorf("restore stream %s: %w", stream.Name, err)
	}
	if err := s.send(ctx, accepted.DeliverSubject, snapshot); err != nil {
		return fmt.Errorf("restore stream %s: %w", stream.Name, err)
	}
	return nil
}

// send hands the pieces over, each after the one before was taken.
func (s Source) send(ctx context.Context, subject string, snapshot io.Reader) error {
	chunk := make([]byte, chunkSize)
	for {
		n, readErr := io.ReadFull(snapshot, chunk)
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return readErr
		}
		if n > 0 {
			answer, err := s.piece(ctx, subject, chunk[:n])
			if err != nil {
				return err
			}
			if len(answer) > 0 {
				if err := decode(answer, nil); err != nil {
					return err
				}
			}
		}
		if readErr != nil {
			break
		}
	}
	answer, err := s.piece(ctx, subject, nil)
	if err != nil {
		return err
	}
	return decode(answer, nil)
}

func (s Source) piece(ctx context.Context, subject string, data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	reply, err := s.Conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, fmt.Errorf("hand over a piece: %w", err)
	}
	return reply.Data, nil
}

// Standalone returns the stream as a single server takes it, which has no others to keep copies.
func (s Stream) Standalone() (Stream, error) {
	var config map[string]any
	if err := json.Unmarshal(s.Config, &config); err != nil {
		return Stream{}, fmt.Errorf("%w: the configuration of stream %s can't be read", ErrBroken, s.Name)
	}
	if config["name"] != s.Name {
		return Stream{}, fmt.Errorf("%w: the configuration of stream %s is of another", ErrBroken, s.Name)
	}
	config["num_replicas"] = 1
	for _, field := range []string{"placement", "mirror", "sources", "republish"} {
		delete(config, field)
	}
	raw, err := json.Marshal(config)
	s.Config = raw
	return s, err
}
