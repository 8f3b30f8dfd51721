package census

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// TestRoll: a host that does not answer is silent at once, and stays listed until its heartbeats are overdue.
func TestRoll(t *testing.T) {
	run(t, func(h *hall, c *Census, changes func() int) {
		synctest.Wait()
		roll := func(wantSilent bool, wantChanges int, when string) {
			t.Helper()
			before := changes()
			if err := c.Roll(context.Background()); err != nil {
				t.Fatal(err)
			}
			hosts, err := c.Hosts()
			if err != nil || len(hosts) != 1 || hosts[0].Silent != wantSilent {
				t.Errorf("%s: hosts = %+v, %v", when, hosts, err)
			}
			if got := changes() - before; got != wantChanges {
				t.Errorf("%s: %d changes, want %d", when, got, wantChanges)
			}
		}
		roll(false, 0, "all answer")
		h.drop("A")
		roll(true, 1, "the leaf lost its hub")
		roll(true, 0, "still")
		h.set("A")
		roll(false, 1, "the hub is back")
		h.drop("A")
		roll(true, 1, "lost again")
		h.handle(lattice.Event{Host: "A", Data: lattice.HostHeartbeat{Inventory: lattice.Inventory{HostID: "A", FriendlyName: "A"}}})
		if hosts, err := c.Hosts(); err != nil || hosts[0].Silent {
			t.Errorf("a heartbeat does not end the silence: %+v, %v", hosts, err)
		}
	})
}

func TestRoll_Errors(t *testing.T) {
	run(t, func(h *hall, c *Census, _ func() int) {
		synctest.Wait()
		h.mu.Lock()
		h.silent = true
		h.mu.Unlock()
		if err := c.Roll(context.Background()); err == nil {
			t.Error("a call that reached nobody went well")
		}
		if hosts, err := c.Hosts(); err != nil || hosts[0].Silent {
			t.Errorf("hosts that were not called are silent: %+v, %v", hosts, err)
		}
	})
}
