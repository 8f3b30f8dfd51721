package control

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// maxPendingDrains is how many requests may wait: each host that ends asks twice a second.
const maxPendingDrains = 1024

// ServeDrains answers requests to drain hosts of the lattice until ctx ends; done is closed after the last call of left.
// Where left has no answer none is sent. Requests that cannot be read are logged and skipped.
func (c *Client) ServeDrains(ctx context.Context, left func(podUID string) (answer lattice.DrainAnswer, ok bool)) (done <-chan struct{}, err error) {
	const operation = "take requests to drain hosts"
	subject, err := lattice.DrainSubject(c.Lattice())
	if err != nil {
		return nil, &Error{Operation: operation, Err: err}
	}
	requests := make(chan *nats.Msg, maxPendingDrains)
	sub, err := c.conn.ChanSubscribe(subject, requests)
	if err != nil {
		return nil, &Error{Operation: operation, Err: c.translate(err)}
	}
	flush, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	if err := c.conn.FlushWithContext(flush); err != nil {
		return nil, &Error{Operation: operation, Err: c.translate(errors.Join(err, sub.Unsubscribe()))}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is closed
		for {
			select {
			case <-ctx.Done():
				return
			case request := <-requests:
				answerDrain(ctx, request, left)
			}
		}
	}()
	return ended, nil
}

func answerDrain(ctx context.Context, request *nats.Msg, left func(string) (lattice.DrainAnswer, bool)) {
	log := logr.FromContextOrDiscard(ctx)
	asked, err := lattice.Decode[lattice.DrainRequest](request.Data)
	if err != nil {
		log.Info("Skipped a request to drain a host that cannot be read", "reason", err.Error())
		return
	}
	answer, ok := left(asked.PodUID)
	if !ok || request.Reply == "" {
		return
	}
	body, err := lattice.Encode(answer)
	if err == nil {
		err = request.Respond(body)
	}
	if err != nil {
		log.Info("An answer about a host that drains was not sent; it is asked for again", "pod", asked.PodUID, "reason", err.Error())
	}
}
