package secrets

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// headerRequest holds the public key that a request is sealed with, and its reply sealed for. Its case counts.
const headerRequest = "WasmCloud-Host-Xkey"

// get answers one request, sealed, and notes in the decision what it learns.
func (s *Server) get(ctx context.Context, x *exchange) (*nats.Msg, error) {
	s.doubt(&x.decision.Question.Asker)
	sender, err := readSender(x.msg)
	if err != nil {
		return nil, err
	}
	if err := s.read(x, sender); err != nil {
		return nil, err
	}
	key, q := replayKey(x.msg.Data), x.decision.Question
	q.Asker = q.Asker.believed()
	first, err := await(ctx, x.place, func(ctx context.Context) (bool, error) { return s.options.Memory.First(ctx, key) })
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", &Error{UpstreamError, textMemory}, err)
	}
	if !first {
		return nil, refuse(Unauthorized, "the request was sent before")
	}
	secret, err := await(ctx, x.place, func(ctx context.Context) (Secret, error) { return s.options.Keeper.Secret(ctx, q) })
	if err != nil {
		return nil, err
	}
	x.decision.Namespace = secret.Namespace
	reply, err := seal(encodeSecret(secret), sender)
	if err != nil {
		return nil, err
	}
	if !s.fits(reply) {
		return nil, refuse(UpstreamError, textLarge)
	}
	return reply, nil
}

// doubt notes why the host group that the subject names may be another, if it may.
func (s *Server) doubt(a *Asker) {
	if a.Group != "" {
		a.Doubt = s.options.Doubt()
	}
}

// believed is what is known of an asker.
func (a Asker) believed() Asker {
	if a.Doubt != "" {
		a.Namespace, a.Group = "", ""
	}
	return a
}

func readSender(msg *nats.Msg) (string, error) {
	values := msg.Header.Values(headerRequest)
	if len(values) != 1 {
		return "", refuse(InvalidHeaders, "the request has %d headers %s, not one", len(values), headerRequest)
	}
	if !isCurveKey(values[0]) {
		return "", refuse(InvalidXKey, "the header %s is no public curve key", headerRequest)
	}
	return values[0], nil
}

// read opens a request and makes the question of it.
func (s *Server) read(x *exchange, sender string) error {
	sealed, q := x.msg.Data, &x.decision.Question
	if len(sealed) == 0 || len(sealed) > maxBody {
		return refuse(InvalidPayload, "the request has %d bytes; it may have up to %d", len(sealed), maxBody)
	}
	body, err := s.options.Keyring.open(sealed, sender)
	if err != nil {
		return err
	}
	form, err := readRequest(body)
	if err != nil {
		return err
	}
	q.Key, q.Field, q.Version = *form.Key, orEmpty(form.Field), form.Version
	q.Application = orEmpty(form.Context.Application.Name)
	now := s.options.Now()
	if q.Entity, err = ReadEntity(form.Context.EntityJWT, now); err != nil {
		return refuse(InvalidEntityJWT, "%v", err)
	}
	if q.HostID, err = readHost(form.Context.HostJWT, now); err != nil {
		return refuse(InvalidHostJWT, "%v", err)
	}
	q.Policy, err = readPolicy(form.Context.Application.Policy)
	return err
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
