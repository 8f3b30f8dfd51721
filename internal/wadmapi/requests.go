package wadmapi

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/manifest"
)

// request is a message that was understood.
type request struct {
	call
	// manifest of a put; its name is the only one that a put has.
	manifest *oam.Application
	body     []byte
}

// lane is what requests are kept in order by.
func (r request) lane() string {
	if r.manifest != nil {
		return strings.TrimSpace(r.manifest.Name)
	}
	return r.name
}

// accept reads a request and puts it into its lane; what can't be read, or is one too many, is answered at once.
func (s *Server) accept(ctx context.Context, requests *lanes, msg *nats.Msg) {
	ctx = logr.NewContext(ctx, logr.FromContextOrDiscard(ctx).WithValues("subject", msg.Subject))
	r, err := s.read(msg)
	if err != nil {
		s.respond(ctx, msg, failure(r.operation, err.Error()))
		return
	}
	if !requests.add(r.lane(), func() { s.serve(ctx, r, msg) }) {
		s.respond(ctx, msg, failure(r.operation, textOverload))
	}
}

// read takes a message apart. The error is the message of the reply.
func (s *Server) read(msg *nats.Msg) (request, error) {
	c, err := s.subjects.parse(msg.Subject)
	r := request{call: c, body: msg.Data}
	if err != nil || c.operation != "put" {
		return r, err
	}
	if r.manifest, err = manifest.DecodeWadm(msg.Header.Get(contentTypeHeader), msg.Data); err != nil {
		return r, text(textParsePut, err)
	}
	return r, nil
}

func (s *Server) serve(ctx context.Context, r request, msg *nats.Msg) {
	// A request that was accepted is finished although the process is about to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	s.respond(ctx, msg, s.answerOrFail(ctx, r))
}

// answerOrFail is answer, and an error where answer panics: one request must not end what serves all others.
func (s *Server) answerOrFail(ctx context.Context, r request) (reply any) {
	defer func() {
		if fault := recover(); fault != nil {
			logr.FromContextOrDiscard(ctx).Error(fmt.Errorf("%v", fault), "A request of wadm's API met a fault of Trellis", "stack", string(debug.Stack()))
			reply = failure(r.operation, textStorage)
		}
	}()
	return s.answer(ctx, r)
}

func (s *Server) answer(ctx context.Context, r request) any {
	switch r.operation {
	case "put":
		return s.put(ctx, r.manifest)
	case "list":
		return s.list(ctx, true)
	case "get":
		if r.name == "" {
			return s.list(ctx, false)
		}
		return s.get(ctx, r.name, r.body)
	case "versions":
		return s.versions(ctx, r.name)
	case "status":
		return s.status(ctx, r.name)
	case "del":
		return s.delete(ctx, r.name, r.body)
	case "deploy":
		return s.deploy(ctx, r.name, r.body)
	case "undeploy":
		return s.undeploy(ctx, r.name, r.body)
	default:
		return failure(r.operation, textHistory)
	}
}

// respond answers a message, if it asks for an answer.
func (s *Server) respond(ctx context.Context, msg *nats.Msg, reply any) {
	if msg.Reply == "" {
		return
	}
	if err := s.send(msg, reply); err != nil {
		logr.FromContextOrDiscard(ctx).Error(err, "Could not answer a request of wadm's API")
	}
}

func (s *Server) send(msg *nats.Msg, reply any) error {
	data, err := s.encode(reply)
	if err != nil {
		return err
	}
	out := nats.NewMsg(msg.Reply)
	out.Header.Set(VersionHeader, s.config.Version)
	out.Data = data
	return msg.RespondMsg(out)
}

// encode writes a reply so that it fits into a message: a list loses details first, what is still too large is an error.
func (s *Server) encode(reply any) ([]byte, error) {
	limit := s.config.Conn.MaxPayload() - headerRoom
	for _, attempt := range []any{reply, shorten(reply)} {
		data, err := encode(attempt)
		if err != nil || int64(len(data)) <= limit {
			return data, err
		}
	}
	return encode(failure("", textTooLarge))
}
