package census

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// hall is a lattice whose hosts answer from memory.
type hall struct {
	mu     sync.Mutex
	hosts  map[string]lattice.Inventory
	silent bool
	handle func(lattice.Event)
	gap    func(error)
}

func (h *hall) Ping(context.Context) ([]lattice.HostPing, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.silent {
		return nil, errors.New("no connection")
	}
	var pings []lattice.HostPing
	for id := range h.hosts {
		pings = append(pings, lattice.HostPing{ID: id})
	}
	return pings, nil
}

func (h *hall) HostInventory(_ context.Context, id string) (lattice.Inventory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	inventory, ok := h.hosts[id]
	if !ok {
		return lattice.Inventory{}, errors.New("timeout")
	}
	return inventory, nil
}

func (h *hall) Events(ctx context.Context, handle func(lattice.Event), gap func(error)) (<-chan struct{}, error) {
	h.handle, h.gap = handle, gap
	return ctx.Done(), nil
}

func (h *hall) set(id string, components ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	inventory := lattice.Inventory{HostID: id, FriendlyName: id}
	for _, name := range components {
		inventory.Components = append(inventory.Components, lattice.ComponentDescription{ID: name, MaxInstances: 1})
	}
	h.hosts[id] = inventory
}

func (h *hall) drop(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.hosts, id)
}

func run(t *testing.T, test func(h *hall, c *Census, changes func() int)) {
	synctest.Test(t, func(t *testing.T) {
		h := &hall{hosts: map[string]lattice.Inventory{}}
		h.set("A")
		var mu sync.Mutex
		count := 0
		c := New(h, Options{Changed: func([]string) { mu.Lock(); count++; mu.Unlock() }})
		if _, err := c.Hosts(); !errors.Is(err, ErrNotYet) {
			t.Errorf("Hosts before Run = %v; want ErrNotYet", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		synctest.Wait()
		test(h, c, func() int { mu.Lock(); defer mu.Unlock(); return count })
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func want(t *testing.T, c *Census, ids ...string) []Host {
	t.Helper()
	synctest.Wait()
	hosts, err := c.Hosts()
	if err != nil {
		t.Fatalf("Hosts: %v", err)
	}
	if len(hosts) != len(ids) {
		t.Fatalf("%d hosts; want %v", len(hosts), ids)
	}
	for i, id := range ids {
		if hosts[i].ID != id {
			t.Errorf("host %d is %s; want %s", i, hosts[i].ID, id)
		}
	}
	return hosts
}

func TestHostsComeAndGo(t *testing.T) {
	run(t, func(h *hall, c *Census, _ func() int) {
		want(t, c, "A")
		h.set("B", "hello")
		h.handle(lattice.Event{Host: "B", Data: lattice.HostStarted{}})
		if hosts := want(t, c, "A", "B"); len(hosts[1].Inventory.Components) != 1 {
			t.Errorf("host B = %+v; want its component", hosts[1])
		}
		h.drop("A")
		h.handle(lattice.Event{Host: "A", Data: lattice.HostStopped{}})
		want(t, c, "B")
	})
}

func TestASilentHostIsAskedBeforeItIsGone(t *testing.T) {
	run(t, func(h *hall, c *Census, _ func() int) {
		time.Sleep(3 * DefaultHeartbeat) // virtual time
		want(t, c, "A")
		h.drop("A")
		time.Sleep(3 * DefaultHeartbeat)
		want(t, c)
	})
}

func TestAHeartbeatWithoutNewsChangesNothing(t *testing.T) {
	run(t, func(h *hall, c *Census, changes func() int) {
		before := changes()
		inventory, _ := h.HostInventory(t.Context(), "A")
		inventory.UptimeSeconds = 60
		h.handle(lattice.Event{Host: "A", Data: lattice.HostHeartbeat{Inventory: inventory}})
		want(t, c, "A")
		if after := changes(); after != before {
			t.Errorf("%d changes told; want none", after-before)
		}
		inventory.Components = lattice.List[lattice.ComponentDescription]{{ID: "hello", MaxInstances: 1}}
		h.handle(lattice.Event{Host: "A", Data: lattice.HostHeartbeat{Inventory: inventory}})
		want(t, c, "A")
		if after := changes(); after != before+1 {
			t.Errorf("%d changes told; want one", after-before)
		}
	})
}

func TestALostConnectionIsSaidAndMended(t *testing.T) {
	run(t, func(h *hall, c *Census, _ func() int) {
		h.mu.Lock()
		h.silent = true
		h.mu.Unlock()
		h.gap(errors.New("the connection is lost"))
		synctest.Wait()
		if _, err := c.Hosts(); err == nil {
			t.Fatal("Hosts without a connection did not fail")
		}
		h.drop("A")
		h.set("B")
		h.mu.Lock()
		h.silent = false
		h.mu.Unlock()
		time.Sleep(2 * pingRetry)
		want(t, c, "B")
	})
}
