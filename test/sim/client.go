package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// Errors of a Client; match with errors.Is. They say what those of the control client over NATS say.
var (
	ErrTimeout      error = timeoutError{}
	ErrNoResponders       = errors.New("no host listens")
	ErrDisconnected       = errors.New("not connected to NATS")
	ErrGap                = errors.New("events may have been missed")
	ErrRefused            = errors.New("the host refuses")
)

type timeoutError struct{}

func (timeoutError) Error() string { return "no answer in time" }

func (timeoutError) Timeout() bool { return true }

// ClientOptions of a Client.
type ClientOptions struct {
	// Timeout of one request. Default: 2 s, as that of the client over NATS.
	Timeout time.Duration
	// Window is how long answers of many hosts are gathered. Default: 5 s.
	Window time.Duration
}

// Client is a control client of a lattice without NATS: the methods of internal/control's Client, with the same meaning.
// It is what an orchestrator in a bubble of virtual time talks to.
type Client struct {
	l *Lattice
	o ClientOptions

	mu    sync.Mutex
	down  bool
	feeds map[*feed]func(error) // with what is called for a gap; nil for watches
}

// NewClient makes a client of a lattice.
func NewClient(l *Lattice, o ClientOptions) *Client {
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Window <= 0 {
		o.Window = 5 * time.Second
	}
	return &Client{l: l, o: o, feeds: map[*feed]func(error){}}
}

// Connected says whether the connection is up.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.down
}

// Disconnect cuts this client from NATS: what it sends fails, answers and events are lost to it, and changes of buckets
// wait.
func (c *Client) Disconnect() { c.setDown(true, ErrDisconnected) }

// Connect mends that.
func (c *Client) Connect() {
	c.setDown(false, fmt.Errorf("%w: the connection to NATS was lost and is back", ErrGap))
}

func (c *Client) setDown(down bool, gap error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down == down {
		return
	}
	c.down = down
	for f, tell := range c.feeds {
		if tell != nil {
			f.push(func() { tell(gap) })
			continue
		}
		f.hold(down)
	}
}

// request sends one body (nil for none) and returns the accepted reply.
func (c *Client) request(ctx context.Context, operation, subject string, subjectErr error, body any) (lattice.Reply, error) {
	fail := func(err error) (lattice.Reply, error) {
		return lattice.Reply{}, fmt.Errorf("%s: %w", operation, err)
	}
	if subjectErr != nil {
		return fail(subjectErr)
	}
	answers, err := c.send(subject, body, 1)
	if err != nil {
		return fail(err)
	}
	timeout := time.NewTimer(c.o.Timeout)
	defer timeout.Stop()
	select {
	case data := <-answers:
		reply, err := lattice.Decode[lattice.Reply](data)
		if err != nil {
			return fail(err)
		}
		if !reply.Success {
			return fail(fmt.Errorf("%w: %s", ErrRefused, reply.Message))
		}
		return reply, nil
	case <-timeout.C:
		return fail(ErrTimeout)
	case <-ctx.Done():
		return fail(ctx.Err())
	}
}

// send sends a body and returns where answers come; those beyond size are dropped.
func (c *Client) send(subject string, body any, size int) (<-chan []byte, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = lattice.Encode(body); err != nil {
			return nil, err
		}
	}
	if !c.Connected() {
		return nil, ErrDisconnected
	}
	answers := make(chan []byte, size)
	listeners := c.l.Handle(subject, data, func(_ string, answer []byte) {
		if !c.Connected() {
			return
		}
		select {
		case answers <- answer:
		default:
		}
	})
	if listeners == 0 {
		return nil, ErrNoResponders
	}
	return answers, nil
}

func fetch[T any](ctx context.Context, c *Client, operation, subject string, subjectErr error) (T, error) {
	var none T
	reply, err := c.request(ctx, operation, subject, subjectErr, nil)
	if err != nil {
		return none, err
	}
	v, err := lattice.Decode[T](reply.Response)
	if err != nil {
		return none, fmt.Errorf("%s: %w", operation, err)
	}
	return v, nil
}

// gathered bounds the answers that wait to be read; a lattice in memory is small.
const gathered = 1 << 14

// gather asks all hosts and collects answers until the window ends, one for each key, in order.
func gather[T any](ctx context.Context, c *Client, operation, subject string, body any, key func(T) string) ([]T, error) {
	answers, err := c.send(subject, body, gathered)
	if errors.Is(err, ErrNoResponders) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	window := time.NewTimer(c.o.Window)
	defer window.Stop()
	found := map[string]T{}
	for {
		select {
		case data := <-answers:
			reply, err := lattice.Decode[lattice.Reply](data)
			if err != nil || !reply.Success {
				continue
			}
			if answer, err := lattice.Decode[T](reply.Response); err == nil {
				found[key(answer)] = answer
			}
		case <-window.C:
			var list []T
			for _, k := range sortedKeys(found) {
				list = append(list, found[k])
			}
			return list, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", operation, ctx.Err())
		}
	}
}
