package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// api sends JetStream's own requests. All of them are answered by the leader of the stream; the client library would
// use direct gets, which followers answer too.
type api struct {
	conn    *nats.Conn
	link    *link
	prefix  string
	stream  string
	timeout time.Duration
}

func newAPI(cfg Config, l *link) *api {
	prefix := "$JS.API."
	if cfg.Domain != "" {
		prefix = "$JS." + cfg.Domain + ".API."
	}
	return &api{conn: cfg.Conn, link: l, prefix: prefix, stream: cfg.Stream, timeout: cfg.Timeout}
}

// apiError is what JetStream answers instead of a result.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// Error codes of JetStream.
const (
	codeMessageNotFound    = 10037
	codeStreamNotFound     = 10059
	codeWrongLast          = 10071 // a stream with one replica
	codeWrongLastConstant  = 10164 // a replicated stream
	codeStreamNameInUse    = 10058
	codeConsumerNotFound   = 10014
	codeMessageNotFoundAlt = 10057 // sequence not found

	codeAccountFull = 10002
	codeServerFull  = 10023
	codeMemoryFull  = 10028
	codeDiskFull    = 10047
	codeStreamFull  = 10077 // a limit that somebody has set on the stream
)

func isCode(err error, codes ...int) bool {
	var failed *apiError
	if !errors.As(err, &failed) {
		return false
	}
	for _, code := range codes {
		if failed.ErrCode == code {
			return true
		}
	}
	return false
}

// streamState is what the store needs to know of the stream.
type streamState struct {
	Config struct {
		Metadata map[string]string `json:"metadata"`
		Replicas int               `json:"num_replicas"`
	} `json:"config"`
	State struct {
		Messages uint64 `json:"messages"`
		FirstSeq uint64 `json:"first_seq"`
		LastSeq  uint64 `json:"last_seq"`
	} `json:"state"`
	// Cluster is what the server that answered knows of the others that hold the stream.
	Cluster struct {
		Leader   string     `json:"leader"`       // empty while none is known: then any server answers
		Since    *time.Time `json:"leader_since"` // when it was elected; not said by older servers
		Replicas []struct {
			// Active is the time since it was last heard from; 0 if it never was, or in this moment.
			Active time.Duration `json:"active"`
			// Current says that it has all that is committed. Of those that make up the majority one always has.
			Current bool `json:"current"`
		} `json:"replicas"`
	} `json:"cluster"`
	Now time.Time `json:"ts"` // by the clock of the server
}

// leaderTrust is how long a leader is believed without a sign of life from a majority. The others elect a new one after 4
// seconds without a sign of its life at the earliest, while a deposed one goes on answering for up to 20.
const leaderTrust = 3 * time.Second

// leaderRest is how long a new leader is not believed: it answers before it has applied all that the one before it has
// acknowledged.
const leaderRest = time.Second

// deposed says that who answered may not be the leader, or not any more, or not yet.
func (s *streamState) deposed() bool {
	if s.Config.Replicas <= 1 {
		return false
	}
	heard := 1 // from itself
	for _, r := range s.Cluster.Replicas {
		if r.Active < leaderTrust && (r.Active > 0 || r.Current) {
			heard++
		}
	}
	young := s.Cluster.Since != nil && s.Now.Sub(*s.Cluster.Since) < leaderRest
	return s.Cluster.Leader == "" || young || 2*heard <= s.Config.Replicas
}

func (a *api) info(ctx context.Context) (*streamState, error) {
	out := &streamState{}
	return out, a.call(ctx, "STREAM.INFO."+a.stream, nil, out)
}

// storedMessage is a message as the leader returns it.
type storedMessage struct {
	subject string
	seq     uint64
	header  nats.Header
	data    []byte
	time    time.Time
}

// last returns the newest message of a subject, or nil when there is none.
func (a *api) last(ctx context.Context, subject string) (*storedMessage, error) {
	return a.message(ctx, map[string]any{"last_by_subj": subject})
}

// at returns the message with a sequence, or nil when there is none.
func (a *api) at(ctx context.Context, seq uint64) (*storedMessage, error) {
	return a.message(ctx, map[string]any{"seq": seq})
}

func (a *api) message(ctx context.Context, request any) (*storedMessage, error) {
	var out struct {
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  string    `json:"hdrs"`
			Data    string    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	err := a.call(ctx, "STREAM.MSG.GET."+a.stream, request, &out)
	if isCode(err, codeMessageNotFound, codeMessageNotFoundAlt) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := &storedMessage{subject: out.Message.Subject, seq: out.Message.Seq, time: out.Message.Time}
	if found.data, err = base64.StdEncoding.DecodeString(out.Message.Data); err != nil {
		return nil, fmt.Errorf("decode message %d: %w", found.seq, err)
	}
	raw, err := base64.StdEncoding.DecodeString(out.Message.Header)
	if err != nil {
		return nil, fmt.Errorf("decode the header of message %d: %w", found.seq, err)
	}
	if len(raw) > 0 {
		if found.header, err = nats.DecodeHeadersMsg(raw); err != nil {
			return nil, fmt.Errorf("decode the header of message %d: %w", found.seq, err)
		}
	}
	return found, nil
}

// purge removes the messages of a subject below a sequence.
func (a *api) purge(ctx context.Context, subject string, below uint64) error {
	var out struct {
		Purged uint64 `json:"purged"`
	}
	return a.call(ctx, "STREAM.PURGE."+a.stream, map[string]any{"filter": subject, "seq": below}, &out)
}

// call sends a request and decodes its answer. Everything but an answer of JetStream is ErrUnavailable; that includes
// JetStream's own "not now" (503).
func (a *api) call(ctx context.Context, verb string, request, response any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return fmt.Errorf("encode a request to JetStream: %w", err)
		}
	}
	bounded, cancel := context.WithTimeoutCause(ctx, a.timeout, errSlow)
	defer cancel()
	upCtx, stop := a.link.whileUp(bounded)
	defer stop()
	msg, err := a.conn.RequestWithContext(upCtx, a.prefix+verb, body)
	if err != nil {
		if upCtx.Err() != nil {
			err = context.Cause(upCtx)
		}
		return unavailable(fmt.Errorf("ask JetStream: %w", err))
	}
	var failure struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &failure); err != nil {
		return fmt.Errorf("decode an answer of JetStream: %w", err)
	}
	if failure.Error != nil {
		if failure.Error.Code == 503 {
			return unavailable(failure.Error)
		}
		return failure.Error
	}
	if err := json.Unmarshal(msg.Data, response); err != nil {
		return fmt.Errorf("decode an answer of JetStream: %w", err)
	}
	return nil
}
