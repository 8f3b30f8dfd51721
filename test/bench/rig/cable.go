package rig

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Cable is the way of one program to a NATS server, so that it can be cut.
type Cable struct {
	URL string

	to       string
	listener net.Listener
	mu       sync.Mutex
	cut      bool
	conns    map[net.Conn]bool
	all      sync.WaitGroup
}

// NewCable makes a way to a server.
func NewCable(nats string) (*Cable, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lay a cable: %w", err)
	}
	c := &Cable{URL: "nats://" + l.Addr().String(), to: strings.TrimPrefix(nats, "nats://"), listener: l, conns: map[net.Conn]bool{}}
	c.all.Go(c.accept)
	return c, nil
}

func (c *Cable) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return // closed
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil || !c.keep(near, far) {
			_ = near.Close()
			continue
		}
		c.all.Go(func() { c.pump(near, far) })
		c.all.Go(func() { c.pump(far, near) })
	}
}

func (c *Cable) keep(near, far net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		_ = far.Close()
		return false
	}
	c.conns[near], c.conns[far] = true, true
	return true
}

func (c *Cable) pump(to, from net.Conn) {
	_, _ = io.Copy(to, from) // ends when one side does
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range []net.Conn{to, from} {
		_ = conn.Close()
		delete(c.conns, conn)
	}
}

// Cut breaks all connections and lets none through, until it is told to mend.
func (c *Cable) Cut(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut = cut; cut {
		for conn := range c.conns {
			_ = conn.Close()
		}
	}
}

// Close ends it.
func (c *Cable) Close() error {
	err := c.listener.Close()
	c.Cut(true)
	c.all.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
