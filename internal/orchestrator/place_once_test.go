package orchestrator

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/test/sim"
)

// TestPlacement_Once: what was told to one host is not told to another because the first has not answered yet, while what
// else becomes of the application shows: each component is started once and nothing is stopped.
func TestPlacement_Once(t *testing.T) {
	config := sim.Config{CommandDelay: sim.Range{Min: 2 * time.Millisecond, Max: 9 * time.Millisecond},
		StartDelay: sim.Range{Min: time.Millisecond, Max: 20 * time.Millisecond}}
	onSimulated(t, config, 10, func(w *world, _ []string, sent *[]string) {
		const apps = 50
		text := strings.ReplaceAll(strings.ReplaceAll(hello, "instances: 4", "instances: 1"), "daemonscaler", "spreadscaler")
		for i := range apps {
			w.apply(w.yaml(strings.ReplaceAll(text, "name: hello", fmt.Sprintf("name: hello-%d", i))))
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i := range apps {
			w.wantPhase(fmt.Sprintf("hello-%d", i), v1beta1.PhaseDeployed)
		}
		count := map[string]int{}
		for _, verb := range *sent {
			if strings.HasPrefix(verb, "component.") || strings.HasPrefix(verb, "provider.") {
				count[verb]++
			}
		}
		if count["component.scale"] != apps || count["provider.start"] != apps || len(count) != 2 {
			t.Errorf("%d applications took %v", apps, count)
		}
	})
}

// TestPlacement_Even: applications that are all new at once spread over the hosts, although none shows yet what it was told
// to run when the next is planned.
func TestPlacement_Even(t *testing.T) {
	config := sim.Config{CommandDelay: sim.Range{Min: 20 * time.Millisecond, Max: 90 * time.Millisecond},
		StartDelay: sim.Range{Min: 100 * time.Millisecond, Max: 2 * time.Second}}
	onSimulated(t, config, 10, func(w *world, hosts []string, _ *[]string) {
		const apps = 100
		text := strings.ReplaceAll(strings.ReplaceAll(hello, "instances: 4", "instances: 1"), "daemonscaler", "spreadscaler")
		for i := range apps {
			w.apply(w.yaml(strings.ReplaceAll(text, "name: hello", fmt.Sprintf("name: hello-%d", i))))
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for _, host := range hosts {
			found := w.bus.inventory(host)
			const room = 10 // what is under way for a host and does not count, and an application that came last
			if n := len(found.Components) + len(found.Providers); n < 2*apps/len(hosts)-room || n > 2*apps/len(hosts)+room {
				t.Errorf("host %s runs %d components and providers of %d, want about %d", host, n, 2*apps, 2*apps/len(hosts))
			}
		}
	})
}

// onSimulated runs a test of one orchestrator that has looked at simulated hosts, in virtual time; sent are the verbs of
// what was commanded.
func onSimulated(t *testing.T, config sim.Config, hosts int, test func(w *world, hosts []string, sent *[]string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		config.OnCommand = func(c sim.Command) { sent = append(sent, c.Verb) }
		l, err := sim.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		fake := newAPI()
		o, err := New(Config{Lattice: "default", Control: sim.NewClient(l, sim.ClientOptions{Window: time.Second}), Applications: fake,
			Revisions: fakeRevisions{fake}, Teardowns: fakeTeardowns{fake}, Lease: fakeLease{fake}})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for range hosts {
			ids = append(ids, l.Start(sim.Host{}))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- o.Run(ctx) }()
		time.Sleep(3 * time.Second)
		test(&world{T: t, api: fake, bus: &bus{Lattice: l}}, ids, &sent)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
