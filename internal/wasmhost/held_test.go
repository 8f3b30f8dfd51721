package wasmhost

import (
	"testing"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// closing counts how often it was closed.
type closing struct {
	Component
	closed int
}

func (c *closing) Close() { c.closed++ }

// Code is closed once, when it is not wanted any more and nobody uses it, in whatever order that comes: a request that waits
// for an instance has found its component, and runs on it although it is stopped or scaled meanwhile.
func TestHeldCode(t *testing.T) {
	code := &closing{}
	h := &Host{components: map[string]*component{}}
	command := lattice.ScaleComponent{ComponentID: "c", Count: 1}
	h.put("c", newComponent(hold(code, nil), command))
	first := h.use("c")
	h.put("c", newComponent(first.code, command)) // another number of instances
	second := h.use("c")
	h.remove("c")
	if h.use("c") != nil {
		t.Error("a component that was stopped takes requests")
	}
	second.code.done()
	if code.closed != 0 {
		t.Error("the code is closed while a request uses it")
	}
	first.code.done()
	if code.closed != 1 {
		t.Errorf("the code was closed %d times when the last request was done", code.closed)
	}
	first.code.Close()
	if code.closed != 1 {
		t.Errorf("the code was closed %d times", code.closed)
	}

	idle := &closing{}
	h.put("c", newComponent(hold(idle, nil), command))
	h.use("c").code.done()
	if h.remove("c"); idle.closed != 1 {
		t.Errorf("code that nobody uses was closed %d times", idle.closed)
	}
}
