package orchestrator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPlacesAreExplained: an Event says what is started where and why there; another says why something is not, and what
// would help. Nothing is told twice.
func TestPlacesAreExplained(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 7 {
			w.start(fmt.Sprint("N", i), map[string]string{"zone": "a"})
		}
		w.orchestrate()
		w.apply(w.yaml(hello))
		w.pass(time.Minute)
		want := []string{
			"hello-http: 1 on host-N0 (N0), 1 on host-N1 (N1), 1 on host-N2 (N2), 1 on host-N3 (N3); " +
				"spread default wants 4 on any host; the host with the fewest instances, then the least loaded, comes first. " +
				"hello-server: host-N0 (N0), host-N1 (N1), host-N2 (N2), host-N3 (N3), host-N4 (N4) and on 2 more hosts; " +
				"daemonscaler default wants 1 on every host.",
		}
		if got := w.told[ReasonPlacing]; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		elsewhere := strings.Replace(hello, "{instances: 4}", "{instances: 4, spread: [{name: b, requirements: {zone: b, disk: fast}}]}", 1)
		w.apply(w.yaml(elsewhere))
		w.pass(time.Minute)
		if text := "Could not satisfy spread b for ghcr.io/x/http:1, 0/1 eligible hosts found." +
			" Start a host with labels disk=fast, zone=b, or change the requirements."; count(w.told[ReasonUnsatisfiable], text) != 1 {
			t.Errorf("%q was not told once among %q", text, w.told[ReasonUnsatisfiable])
		}
		w.start("NB", map[string]string{"zone": "b", "disk": "fast"})
		w.pass(time.Minute)
		if text := "hello-http: 4 on host-NB (NB); spread b wants 4 on hosts with disk=fast, zone=b; " +
			"the host with the fewest instances, then the least loaded, comes first. " +
			"hello-server: host-NB (NB); daemonscaler default wants 1 on every host."; count(w.told[ReasonPlacing], text) != 1 {
			t.Errorf("%q was not told once among %q", text, w.told[ReasonPlacing])
		}
	})
}

// TestAFailureIsToldOnce: what is tried again is not told again, and no Event is longer than the API takes.
func TestAFailureIsToldOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("NA", nil)
		w.failing.put("ghcr.io/x/http:1", strings.Repeat("no such image ", 200))
		w.orchestrate()
		w.apply(w.yaml(hello))
		w.pass(10 * time.Minute)
		if count(w.commands(), "scale hello-http=4 ghcr.io/x/http:1 on NA") < 5 {
			t.Fatalf("the host was not asked again")
		}
		placing := 0
		for _, text := range w.told[ReasonPlacing] {
			if strings.HasPrefix(text, "hello-http: ") {
				placing++
			}
		}
		failed := w.told[ReasonCommandFailed]
		if placing != 1 || len(failed) != 1 || len(failed[0]) > 1024 || !strings.Contains(failed[0], "no such image") {
			t.Errorf("told %d times where it is placed, and of the failure %q", placing, failed)
		}
	})
}

func count(list []string, text string) (n int) {
	for _, s := range list {
		if s == text {
			n++
		}
	}
	return n
}
