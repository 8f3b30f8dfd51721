package control

import (
	"context"
	"errors"
	"sort"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lattice"
)

const statusNoResponders = "503"

// gather asks all hosts and collects answers until the window ends; it never stops at the first one. The result is
// ordered by key and holds the last answer of each. It ends early only when the server says that nobody listens.
//
// Answers that cannot be read or refuse are skipped and logged: one odd host must not hide the others.
func gather[T any](ctx context.Context, c *Client, operation, subject string, body any, key func(T) string) ([]T, error) {
	fail := func(err error) ([]T, error) { return nil, &Error{Operation: operation, Err: c.translate(err)} }
	var data []byte
	if body != nil {
		var err error
		if data, err = lattice.Encode(body); err != nil {
			return fail(err)
		}
	}
	inbox := c.conn.NewRespInbox()
	sub, err := c.conn.SubscribeSync(inbox)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is gone, and the subscription with it
	if err := c.conn.PublishRequest(subject, inbox, data); err != nil {
		return fail(err)
	}
	answers, err := collect(ctx, sub, c.options.Window, func(msg *nats.Msg) (T, bool) {
		return readAnswer[T](ctx, operation, msg)
	}, key)
	if err != nil {
		return fail(err)
	}
	return inOrder(answers), nil
}

func collect[T any](ctx context.Context, sub *nats.Subscription, window time.Duration,
	read func(*nats.Msg) (T, bool), key func(T) string) (map[string]T, error) {
	within, cancel := context.WithTimeout(ctx, window)
	defer cancel()
	answers := map[string]T{}
	for {
		msg, err := sub.NextMsgWithContext(within)
		switch {
		case err == nil && isNoResponders(msg):
			return answers, nil
		case err == nil:
			if answer, ok := read(msg); ok {
				answers[key(answer)] = answer
			}
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return answers, nil
		case errors.Is(err, nats.ErrNoResponders):
			return answers, nil
		default:
			return nil, err
		}
	}
}

func isNoResponders(msg *nats.Msg) bool {
	return len(msg.Data) == 0 && msg.Header.Get("Status") == statusNoResponders
}

func readAnswer[T any](ctx context.Context, operation string, msg *nats.Msg) (T, bool) {
	var none T
	reply, err := decodeReply(operation, msg.Data)
	if err == nil {
		var answer T
		if answer, err = lattice.Decode[T](reply.Response); err == nil {
			return answer, true
		}
	}
	logr.FromContextOrDiscard(ctx).Info("Skipped an answer of a host", "operation", operation, "reason", err.Error())
	return none, false
}

func inOrder[T any](answers map[string]T) []T {
	keys := make([]string, 0, len(answers))
	for k := range answers {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	list := make([]T, 0, len(keys))
	for _, k := range keys {
		list = append(list, answers[k])
	}
	return list
}
