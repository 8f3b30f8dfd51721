// Package proxy is for tests: it stands between a NATS server and a client, or between two servers, and breaks their
// connections on demand.
package proxy

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy forwards TCP connections to one server.
type Proxy struct {
	listener net.Listener
	target   string

	MuteServer atomic.Bool // what the server says is lost
	MuteClient atomic.Bool // what the client says is lost
	Refuse     atomic.Bool // new connections are closed at once

	mu    sync.Mutex
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

// New makes a proxy for the server with a URL on a free port of 127.0.0.1. It ends with the test.
func New(t testing.TB, serverURL string) *Proxy {
	t.Helper()
	target, err := url.Parse(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target.Host, conns: map[net.Conn]bool{}}
	p.done.Add(1)
	go p.accept()
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.done.Wait()
	})
	return p
}

// URL is the address of the proxy.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

func (p *Proxy) accept() {
	defer p.done.Done()
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil || p.Refuse.Load() {
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.done.Add(2)
		go p.pump(server, client, &p.MuteClient)
		go p.pump(client, server, &p.MuteServer)
	}
}

// pump copies until one side is gone; while mute is set it reads and forgets.
func (p *Proxy) pump(to, from net.Conn, mute *atomic.Bool) {
	defer p.done.Done()
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !mute.Load() {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// Silence loses all that either side says, as a network does that was parted: both believe that they are connected.
func (p *Proxy) Silence() {
	p.MuteServer.Store(true)
	p.MuteClient.Store(true)
}

// Restore lets everything pass again.
func (p *Proxy) Restore() {
	p.MuteServer.Store(false)
	p.MuteClient.Store(false)
	p.Refuse.Store(false)
}
