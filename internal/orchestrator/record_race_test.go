package orchestrator

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/test/sim"
)

// TestLinkAndStart: hosts write the record of what they start as they read it before, so that a link of it that is put at
// the same time is lost. The orchestrator puts no link while its source starts: each is put once, and is there.
func TestLinkAndStart(t *testing.T) {
	config := sim.Config{CommandDelay: sim.Fixed(5 * time.Millisecond), FetchDelay: sim.Fixed(15 * time.Millisecond),
		BucketDelay: sim.Fixed(30 * time.Millisecond)}
	onSimulated(t, config, 1, func(w *world, hosts []string, sent *[]string) {
		w.apply(w.yaml(hello))
		time.Sleep(time.Second)
		synctest.Wait()
		w.wantPhase("hello", v1beta1.PhaseDeployed)
		puts := slices.DeleteFunc(slices.Clone(*sent), func(verb string) bool { return !strings.HasPrefix(verb, "link.") })
		if applied := w.Applied(hosts[0], "hello-server"); len(applied) != 1 || !slices.Equal(puts, []string{"link.put"}) {
			t.Errorf("the provider has %d links after %q", len(applied), puts)
		}
	})
}
