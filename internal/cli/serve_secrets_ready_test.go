package cli

import (
	"net/http"
	"strings"
	"testing"
)

// TestSecretReadiness: a new replica that may not subscribe says in which lattice. Nothing that happens later, and nothing in
// somebody else's NATS, takes the Application API away.
func TestSecretReadiness(t *testing.T) {
	ready := newSecretReadiness(func(lattice string) bool { return lattice != "foreign" })
	connected, served := map[string]bool{"a": true, "b": true, "foreign": true}, map[string]bool{"a": true}
	for _, lattice := range []string{"a", "b", "away", "foreign"} {
		ready.add(lattice, func() bool { return connected[lattice] }, func() bool { return served[lattice] })
	}
	look := func() error { return ready.check().Check(&http.Request{}) }
	if err := look(); err == nil || !strings.Contains(err.Error(), "lattices b:") {
		t.Errorf("error = %v, want one about b alone", err)
	}
	served["b"] = true
	if err := look(); err != nil {
		t.Errorf("all are served: %v", err)
	}
	clear(served)
	if err := look(); err != nil {
		t.Errorf("it was served before: %v", err)
	}
	connected["away"] = true
	if err := look(); err == nil || !strings.Contains(err.Error(), "lattices away:") {
		t.Errorf("error = %v, want one about the lattice that came", err)
	}
}
