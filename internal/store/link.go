package store

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
)

// link follows the state of the connection, so that nobody waits for an answer that can't come any more.
type link struct {
	conn   *nats.Conn
	events chan nats.Status

	mu    sync.Mutex
	epoch context.Context // ends when the connection is lost
	lost  context.CancelFunc
	up    chan struct{} // closed while connected
	right chan struct{} // closed when the stream was checked over this connection
}

func newLink(conn *nats.Conn) *link {
	l := &link{conn: conn, up: make(chan struct{}), right: make(chan struct{})}
	l.events = conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	l.epoch, l.lost = context.WithCancel(context.Background())
	if conn.IsConnected() {
		close(l.up)
	} else {
		l.lost()
	}
	return l
}

func (l *link) watch(ctx context.Context) {
	defer l.conn.RemoveStatusListener(l.events)
	for {
		select {
		case <-ctx.Done():
			return
		case status, open := <-l.events:
			if !open {
				l.set(false)
				return
			}
			l.set(status == nats.CONNECTED)
		}
	}
}

func (l *link) set(connected bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch.Err() == nil {
		// Even when the news is "connected": the connection before it is gone.
		l.lost()
		l.up, l.right = make(chan struct{}), make(chan struct{})
	}
	if connected {
		l.epoch, l.lost = context.WithCancel(context.Background())
		close(l.up)
	}
}

// renew treats the connection as a new one: what follows the stream begins again, and checks it first.
func (l *link) renew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch.Err() != nil {
		return
	}
	l.lost()
	l.right = make(chan struct{})
	l.epoch, l.lost = context.WithCancel(context.Background())
}

// connected says whether the connection was there at the last event.
func (l *link) connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch.Err() == nil
}

// whileUp returns a context that also ends when the connection is lost.
func (l *link) whileUp(ctx context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	epoch := l.epoch
	l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(epoch, func() { cancel(nats.ErrDisconnected) })
	return ctx, func() { stop(); cancel(nil) }
}

// confirm says that the stream behind the connection of a context from whileUp is the right one.
func (l *link) confirm(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil || l.epoch.Err() != nil {
		return
	}
	select {
	case <-l.right:
	default:
		close(l.right)
	}
}

// confirmed waits until the stream was checked over the present connection. A server may come back without the end of
// the stream, and a write must not fill the gap before somebody has looked.
func (l *link) confirmed(ctx context.Context) error {
	l.mu.Lock()
	right := l.right
	l.mu.Unlock()
	select {
	case <-right:
		return nil
	default:
	}
	select {
	case <-right:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait returns when the connection is there.
func (l *link) wait(ctx context.Context) error {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
