package orchestrator

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestEventsConcernFew: what happens costs plans of those whom it concerns, not of all.
func TestEventsConcernFew(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 4 {
			w.start(fmt.Sprint("N", i), map[string]string{"zone": "a"})
		}
		w.orchestrate()
		named := func(name, text string) { w.apply(w.yaml(strings.Replace(text, "name: hello", "name: "+name, 1))) }
		spread := strings.Replace(hello, "daemonscaler", "spreadscaler", 1)
		for i := range 50 {
			named(fmt.Sprint("spread", i), spread)
		}
		named("daemon", hello)
		named("lacking", strings.Replace(spread, "{instances: 4}", "{instances: 4, spread: [{name: b, requirements: {zone: b}}]}", 1))
		w.pass(2 * time.Minute)
		costs := func(what string, most uint64, event func()) {
			t.Helper()
			before := w.o.Plans()
			event()
			w.pass(2 * time.Minute)
			if got := w.o.Plans() - before; got > most {
				t.Errorf("%s costs %d plans, more than %d", what, got, most)
			}
		}
		costs("two minutes", 0, func() {})
		costs("a new host", 12, func() { w.start("N9", map[string]string{"zone": "a"}) })
		costs("a host that goes with one instance of the daemon", 6, func() { w.Stop("N9") })
		costs("the host that was lacking", 12, func() { w.start("NB", map[string]string{"zone": "b"}) })
		w.wantPhase("lacking", "Deployed")
		costs("the change of one application", 6, func() { named("spread7", strings.Replace(spread, "instances: 4", "instances: 5", 1)) })
	})
}
