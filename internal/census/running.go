package census

import (
	"maps"
	"slices"
	"strings"
)

// Running returns the hosts that run a component or provider, sorted by id. What it returns is shared and must not be
// changed.
func (c *Census) Running(id string) []Host {
	c.mu.Lock()
	defer c.mu.Unlock()
	hosts := make([]Host, 0, len(c.running[id]))
	for host := range c.running[id] {
		hosts = append(hosts, c.hosts[host].host)
	}
	slices.SortFunc(hosts, func(a, b Host) int { return strings.Compare(a.ID, b.ID) })
	return hosts
}

// Known says why the hosts are not known now; nil when they are.
func (c *Census) Known() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// move replaces what is known of a host, nil for nothing, and returns what runs elsewhere since, or on a host with other
// labels. The caller holds the lock.
func (c *Census) move(host string, before, after *entry) []string {
	had, has := runningOn(before), runningOn(after)
	what := []string{}
	for id := range had {
		if !has[id] {
			what = append(what, id)
			if delete(c.running[id], host); len(c.running[id]) == 0 {
				delete(c.running, id)
			}
		}
	}
	relabelled := before != nil && after != nil && !maps.Equal(before.host.Inventory.Labels, after.host.Inventory.Labels)
	for id := range has {
		if had[id] && !relabelled {
			continue
		}
		what = append(what, id)
		if c.running[id] == nil {
			c.running[id] = map[string]bool{}
		}
		c.running[id][host] = true
	}
	if after == nil {
		delete(c.hosts, host)
	} else {
		c.hosts[host] = after
	}
	return what
}

// runningOn are the ids of what a host runs: its providers, and components with an instance.
func runningOn(e *entry) map[string]bool {
	out := map[string]bool{}
	if e == nil {
		return out
	}
	for _, p := range e.host.Inventory.Providers {
		out[p.ID] = true
	}
	for _, component := range e.host.Inventory.Components {
		if component.MaxInstances > 0 {
			out[component.ID] = true
		}
	}
	return out
}
