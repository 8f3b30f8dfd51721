package census

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
)

// What changes is told by its name, and only that.
func TestWhatRunsElsewhereIsNamed(t *testing.T) {
	inventory := func(label string, ids ...string) lattice.Inventory {
		i := lattice.Inventory{FriendlyName: "a", Labels: map[string]string{"zone": label}, Components: []lattice.ComponentDescription{{ID: "asleep"}}}
		for _, id := range ids {
			i.Providers = append(i.Providers, lattice.ProviderDescription{ID: id})
		}
		return i
	}
	synctest.Test(t, func(t *testing.T) {
		var told [][]string
		c := New(&hall{}, Options{Changed: func(what []string) { slices.Sort(what); told = append(told, what) }})
		running := func(id string) (hosts []string) {
			for _, h := range c.Running(id) {
				hosts = append(hosts, h.ID)
			}
			return hosts
		}
		for _, step := range []struct {
			name    string
			do      func()
			told    [][]string
			running map[string][]string
		}{
			{"a host", func() { c.put("A", inventory("x", "p", "q")) }, [][]string{{"p", "q"}}, map[string][]string{"p": {"A"}, "q": {"A"}, "asleep": nil}},
			{"another one", func() { c.put("B", inventory("x", "p")) }, [][]string{{"p"}}, map[string][]string{"p": {"A", "B"}}},
			{"nothing new", func() { c.put("A", inventory("x", "p", "q")) }, nil, map[string][]string{"p": {"A", "B"}}},
			{"one goes, one comes", func() { c.put("A", inventory("x", "p", "r")) }, [][]string{{"q", "r"}}, map[string][]string{"q": nil, "r": {"A"}}},
			{"a label", func() { c.put("A", inventory("y", "p", "r")) }, [][]string{{"p", "r"}}, map[string][]string{"p": {"A", "B"}}},
			{"a silent host", func() { c.setSilent("B", true) }, [][]string{{}}, map[string][]string{"p": {"A", "B"}}},
			{"a host ends", func() { c.forget("A") }, [][]string{{"p", "r"}}, map[string][]string{"p": {"B"}, "r": nil}},
			{"nobody knows", func() { c.setWhy(nil) }, [][]string{nil}, nil},
		} {
			told = nil
			step.do()
			if diff := cmp.Diff(step.told, told); diff != "" {
				t.Errorf("%s: told (-want +got):\n%s", step.name, diff)
			}
			for id, want := range step.running {
				if diff := cmp.Diff(want, running(id)); diff != "" {
					t.Errorf("%s: hosts of %s (-want +got):\n%s", step.name, id, diff)
				}
			}
		}
	})
}

// Hosts that did not answer when everybody was asked run nothing any more.
func TestAfterAGapNobodyRunsWhatIsGone(t *testing.T) {
	run(t, func(h *hall, c *Census, _ func() int) {
		h.set("B", "hello")
		h.handle(lattice.Event{Host: "B", Data: lattice.HostStarted{}})
		want(t, c, "A", "B")
		if got := c.Running("hello"); len(got) != 1 {
			t.Fatalf("hello runs on %v", got)
		}
		h.drop("B")
		h.gap(ErrNotYet)
		synctest.Wait()
		if got := c.Running("hello"); len(got) != 0 {
			t.Errorf("hello runs on %v; that host is gone", got)
		}
		want(t, c, "A")
	})
}
