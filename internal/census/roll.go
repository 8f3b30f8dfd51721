package census

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// askInRoll bounds the questions to hosts that missed a call: together they are silent when their hub is gone.
const askInRoll = 64

// Roll calls all hosts, and marks as silent those that answer neither the call nor a question of their own. They stay
// alive until their heartbeats are overdue: a hub that is away for a moment ends no host. The error says that nobody could
// be called.
func (c *Census) Roll(ctx context.Context) error {
	if c.nobody() {
		return nil
	}
	began := c.now()
	pings, err := c.control.Ping(ctx)
	if err != nil {
		return err
	}
	answered := map[string]bool{}
	for _, p := range pings {
		answered[p.ID] = true
		c.setSilent(p.ID, false)
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(askInRoll)
	for _, id := range c.unheard(answered, began) {
		group.Go(func() error {
			if inventory, err := c.control.HostInventory(inner, id); err == nil {
				c.put(id, inventory)
			} else if ctx.Err() == nil { // else nobody waited for the answer
				c.setSilent(id, true)
			}
			return nil
		})
	}
	return group.Wait() // none of them fails
}

func (c *Census) nobody() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why != nil || len(c.hosts) == 0
}

// unheard returns the hosts that neither answered nor were heard since.
func (c *Census) unheard(answered map[string]bool, since time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for id, e := range c.hosts {
		if !answered[id] && !e.heard.After(since) {
			out = append(out, id)
		}
	}
	return out
}

func (c *Census) setSilent(id string, silent bool) {
	c.mu.Lock()
	e := c.hosts[id]
	moved := e != nil && e.host.Silent != silent
	if moved {
		next := *e // what Hosts returned before is shared
		next.host.Silent = silent
		c.hosts[id] = &next
	}
	c.mu.Unlock()
	if moved {
		c.changed([]string{})
	}
}
