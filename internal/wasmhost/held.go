package wasmhost

import (
	"sync"

	"github.com/trellis-operator/trellis/internal/wasmhost/token"
)

// heldCode is the code of a component, which is closed when it is replaced or stopped, and no request that found it uses
// it any more: one that waits for an instance has not begun as far as the engine knows.
type heldCode struct {
	Component
	token *token.Token // nil for code that is not signed

	mu     sync.Mutex
	users  int
	closed bool
}

func hold(code Component, signed *token.Token) *heldCode {
	return &heldCode{Component: code, token: signed}
}

func (c *heldCode) use() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users++
}

func (c *heldCode) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users--; c.users == 0 && c.closed {
		c.Component.Close()
	}
}

// Close frees the code as soon as nobody uses it.
func (c *heldCode) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && c.users == 0 {
		c.Component.Close()
	}
	c.closed = true
}
