package apiserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// loopback is a connection to the server that never leaves the process: pipes in place of sockets. Requests pass the
// whole chain of filters (authentication by a token that only this process knows, impersonation, authorization, audit),
// so a client of it is a client like any other.
type loopback struct {
	token string
	conns chan net.Conn
	done  chan struct{}
}

var _ net.Listener = (*loopback)(nil)

const loopbackHost = "trellis.loopback"

func newLoopback() *loopback {
	return &loopback{token: uuid.NewString(), conns: make(chan net.Conn), done: make(chan struct{})}
}

// config is that of the loopback's own identity, a member of system:masters. Impersonate to be somebody else.
func (l *loopback) config() *rest.Config {
	return &rest.Config{
		Host: "http://" + loopbackHost, BearerToken: l.token, Dial: l.dial,
		// Within the process, there is nothing to protect by a client-side limit.
		QPS: -1,
	}
}

func (l *loopback) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, errors.New("the API server has ended")
	}
}

// Accept implements net.Listener.
func (l *loopback) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; only serve calls it, once.
func (l *loopback) Close() error {
	close(l.done)
	return nil
}

// Addr implements net.Listener.
func (*loopback) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return loopbackHost }

const loopbackShutdown = 2 * time.Second

// serve answers until ctx ends.
func (l *loopback) serve(ctx context.Context, handler http.Handler) {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(oneClose{l}); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			klog.FromContext(ctx).Error(err, "The loopback of the API server ended")
		}
	}()
	<-ctx.Done()
	l.Close()
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), loopbackShutdown)
	defer cancel()
	if err := server.Shutdown(shutdown); err != nil {
		_ = server.Close() // watches that did not end by themselves
	}
	<-ended
}

// oneClose hides Close from http.Server, which would call it a second time.
type oneClose struct{ net.Listener }

func (oneClose) Close() error { return nil }
