package rotation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
	"github.com/trellis-operator/trellis/internal/policy"
	"github.com/trellis-operator/trellis/internal/secrets"
)

// noticed is how long it takes at most until a change of a Secret is acted on and told.
const noticed = DefaultEvery*11/10 + 2*passInterval

// TestDelivers: a host that was given an older value is told once, and the status follows it.
func TestDelivers(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
		w.given("N1", "1")
		w.pass(3 * time.Second)
		want := oam.SecretStatus{Component: "api", Name: "password", State: oam.SecretResolved, Version: "1", HostCount: 1,
			Hosts: []oam.SecretHost{{HostID: "N1", State: oam.SecretResolved, Version: "1"}}}
		if diff := cmp.Diff(want, w.status()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		w.set("2")
		w.pass(noticed)
		if diff := cmp.Diff([]string{"refresh shop-api on N1"}, w.does()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		want.Version, want.Hosts[0].Version = "2", "2"
		if diff := cmp.Diff(want, w.status()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		m := w.gathered()
		if m["trellis_rotation_lag_seconds_count"] != 1 || m["trellis_rotation_lag_seconds_sum"] <= 0 || m["trellis_rotation_lag_seconds_sum"] > noticed.Seconds() || m["trellis_rotation_stale"] != 0 {
			t.Errorf("metrics %v", m)
		}
		reports := w.number(&w.reports)
		w.pass(time.Hour)
		if got := w.does(); len(got) > 0 || w.number(&w.reports) != reports {
			t.Errorf("nothing changed, and hosts were told %q, the status written %d times", got, w.number(&w.reports)-reports)
		}
	})
}

// TestDelivers_Unable: a host that has no such command is restarted at once, and not asked again for a time.
func TestDelivers_Unable(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
		w.locked(func() { w.unable["N1"] = true })
		w.given("N1", "1")
		w.pass(3 * time.Second)
		for _, want := range [][]string{{"refresh shop-api on N1", "restart shop-api on N1"}, {"restart shop-api on N1"}} {
			w.set(fmt.Sprint(time.Now().UnixNano()))
			w.pass(noticed + 2*passInterval)
			if diff := cmp.Diff(want, w.does()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		}
		if st := w.status(); st.State != oam.SecretResolved {
			t.Errorf("told %+v", st)
		}
	})
}

// TestRestarts: one host of an application after the other.
func TestRestarts(t *testing.T) {
	hosts := []string{"N1", "N2", "N3"}
	inWorld(t, policy.RotationRestart, hosts, func(w *world) {
		w.locked(func() { w.obeys = false })
		for _, h := range hosts {
			w.given(h, "1")
		}
		w.set("2")
		w.pass(3 * time.Second)
		if diff := cmp.Diff([]string{"restart shop-api on N1"}, w.does()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		w.given("N1", "2")
		w.pass(3 * time.Second)
		if diff := cmp.Diff([]string{"restart shop-api on N2"}, w.does()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		st := w.status()
		if st.State != oam.SecretStale || st.Hosts[0] != (oam.SecretHost{HostID: "N2", State: oam.SecretStale, Version: "1"}) || st.Hosts[2].State != oam.SecretResolved || st.HostCount != 3 {
			t.Errorf("told %+v", st)
		}
		if m := w.gathered(); m["trellis_rotation_stale"] != 2 {
			t.Errorf("metrics %v", m)
		}
		// N2 never comes: the others are not held up for good.
		w.pass(restartWait + firstPause)
		if got := w.does(); !slices.Contains(got, "restart shop-api on N3") {
			t.Errorf("told %q", got)
		}
	})
}

// TestRestarts_Providers: a provider that was stopped has its time to come back before the next one is.
func TestRestarts_Providers(t *testing.T) {
	inWorld(t, policy.RotationRestart, []string{"N1", "N2"}, func(w *world) {
		w.want(func(x *Wanted) { x.Provider = true })
		w.locked(func() { w.obeys = false })
		w.given("N1", "1")
		w.given("N2", "1")
		w.pass(3 * time.Second)
		w.set("2")
		told := w.does()
		for ; len(told) == 0; told = w.does() {
			w.pass(passInterval)
		}
		if diff := cmp.Diff([]string{"restart shop-api on N1"}, told); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		w.locked(func() { w.running["shop-api"] = []string{"N2"} })
		w.pass(20 * time.Second)
		if got := w.does(); len(got) > 0 {
			t.Errorf("while the first one starts: %q", got)
		}
		w.given("N1", "2")
		w.locked(func() { w.running["shop-api"] = []string{"N1", "N2"} })
		w.pass(2 * time.Second)
		if diff := cmp.Diff([]string{"restart shop-api on N2"}, w.does()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

// TestLeavesAlone: what the manifest or the facts do not let be brought is told and not done.
func TestLeavesAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world)
		state  oam.SecretState
		says   string
	}{
		"manual": {func(w *world) { w.want(func(x *Wanted) { x.Rotation = policy.RotationManual }); w.set("2") }, oam.SecretStale, "rotation is manual"},
		"a fixed version": {func(w *world) {
			reference := password("").Reference
			reference.Version = "1"
			w.want(func(x *Wanted) { x.Reference = reference })
			w.note("N1", func(o *secrets.Outcome) { o.Reference, o.Version = reference, "1" })
			w.set("2")
		}, oam.SecretStale, "names its resourceVersion 1"},
		"a provider":         {func(w *world) { w.want(func(x *Wanted) { x.Provider = true }); w.set("2") }, oam.SecretStale, "when they start"},
		"the Secret is gone": {func(w *world) { w.set("") }, oam.SecretMissing, "There is no Secret vault/pg any more"},
		"it can't be seen":   {func(w *world) { w.locked(func() { w.refuses = errors.New("forbidden") }); w.set("2") }, oam.SecretResolved, "can't be seen"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
				w.given("N1", "1")
				tc.change(w)
				w.pass(2 * noticed)
				if st := w.status(); st.State != tc.state || !strings.Contains(st.Message, tc.says) {
					t.Errorf("told %+v", st)
				}
				if got := w.does(); len(got) > 0 {
					t.Errorf("hosts were told %q", got)
				}
			})
		})
	}
}

// TestRefusals: what was refused last is told in the words of whoever decided; of hosts that tried and do not run it, too.
func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		kind  secrets.Kind
		state oam.SecretState
	}{
		"denied":  {secrets.Unauthorized, oam.SecretDenied},
		"policy":  {secrets.PolicyError, oam.SecretDenied},
		"missing": {secrets.SecretNotFound, oam.SecretMissing},
		"away":    {secrets.UpstreamError, oam.SecretPending},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, policy.RotationDeliver, nil, func(w *world) {
				w.pass(2 * time.Second)
				if st := w.status(); st.State != oam.SecretPending || st.Message != "No host has asked for it yet." || st.Version != "" {
					t.Errorf("before: %+v", st)
				}
				w.refused("N1", tc.kind, "because of this")
				w.pass(2 * time.Second)
				if st := w.status(); st.State != tc.state || st.Message != "because of this" || len(st.Hosts) != 1 || st.Version != "" {
					t.Errorf("told %+v", st)
				}
				if w.number(&w.looks) > 0 {
					t.Error("the Secret was looked at, and nobody may have it")
				}
				w.locked(func() { w.running["shop-api"] = []string{"N2"} })
				w.given("N2", "1")
				w.pass(refusalCounts)
				if st := w.status(); st.State != oam.SecretResolved || st.HostCount != 1 {
					t.Errorf("later, elsewhere: %+v", st)
				}
			})
		})
	}
}

// TestRefused_AfterAChange: a host that may not have the new value is told again with growing pauses, and what it has is told.
func TestRefused_AfterAChange(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
		w.locked(func() { w.obeys = false })
		w.given("N1", "1")
		w.set("2")
		w.pass(noticed)
		w.refused("N1", secrets.Unauthorized, "the grant is gone")
		w.pass(time.Hour)
		if n := len(w.does()); n < 6 || n > 13 {
			t.Errorf("told %d times in an hour", n)
		}
		if st := w.status(); st.State != oam.SecretDenied || st.Message != "the grant is gone" || st.Hosts[0].Version != "1" {
			t.Errorf("told %+v", st)
		}
		w.locked(func() { w.obeys = true })
		w.pass(longestPause + time.Second)
		if st := w.status(); st.State != oam.SecretResolved || st.Hosts[0].Version != "2" {
			t.Errorf("after it was let in again: %+v", st)
		}
	})
}

// TestRefused_WithoutAChange: a host that was refused what it has is asked to try again; it may be let in by now.
func TestRefused_WithoutAChange(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
		w.given("N1", "1")
		w.pass(2 * time.Second)
		w.refused("N1", secrets.Unauthorized, "the grant is gone")
		w.pass(2 * time.Second)
		if st := w.status(); st.State != oam.SecretDenied || st.Hosts[0].Version != "1" {
			t.Errorf("told %+v", st)
		}
		w.pass(unknownPause + 2*time.Second)
		if diff := cmp.Diff([]string{"refresh shop-api on N1"}, w.does()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if st := w.status(); st.State != oam.SecretResolved {
			t.Errorf("told %+v", st)
		}
	})
}

// TestUnknown: a host whose outcome nobody noted is asked to fetch, where that disturbs nothing.
func TestUnknown(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1", "N2"}, func(w *world) {
		w.locked(func() { w.unable["N2"] = true })
		w.pass(2 * time.Second)
		if st := w.status(); st.State != oam.SecretPending || st.HostCount != 2 {
			t.Errorf("told %+v", st)
		}
		w.pass(unknownPause + 10*time.Minute)
		got := w.does()
		if !slices.Contains(got, "refresh shop-api on N1") || slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "restart") }) {
			t.Errorf("hosts were told %q", got)
		}
		if st := w.status(); st.Hosts[0].HostID != "N2" || st.Hosts[0].State != oam.SecretPending || st.Hosts[1].State != oam.SecretResolved {
			t.Errorf("told %+v", st)
		}
	})
}

// TestManySecretsChange: hosts are told at a bounded pace, one message for each component whatever number of its Secrets changed.
func TestManySecretsChange(t *testing.T) {
	var hosts []string
	for i := range 200 {
		hosts = append(hosts, fmt.Sprintf("N%03d", i))
	}
	inWorld(t, policy.RotationDeliver, hosts, func(w *world) {
		second := password(policy.RotationDeliver)
		second.Name, second.Reference.Field = "user", "user"
		w.locked(func() { w.apps[0].Wanted = append(w.apps[0].Wanted, second) })
		for _, h := range hosts {
			w.given(h, "1")
			w.note(h, func(o *secrets.Outcome) { o.Reference, o.Version = second.Reference, "1" })
		}
		w.pass(3 * time.Second)
		if st := w.status(); len(st.Hosts) != hostsShown || st.HostCount != 200 {
			t.Errorf("%d hosts are shown of %d", len(st.Hosts), st.HostCount)
		}
		w.set("2")
		w.locked(func() { w.obeys = false })
		told := w.does()
		for ; len(told) == 0; told = w.does() {
			w.pass(passInterval)
		}
		if n := len(told); n > refreshesPerSecond {
			t.Errorf("%d messages at once", n)
		}
		w.pass(firstPause - 2*passInterval)
		told = w.does()
		slices.Sort(told)
		if len(slices.Compact(told)) != len(told) || len(told) < 200-refreshesPerSecond-1 {
			t.Errorf("%d messages, some twice or some missing", len(told))
		}
	})
}

// TestLooks: a Secret that nobody was given is not looked at, others once in the interval, whatever number names them.
func TestLooks(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1", "N2"}, func(w *world) {
		w.pass(10 * time.Second)
		if w.number(&w.looks) > 0 {
			t.Errorf("%d looks at a Secret that nobody was given", w.number(&w.looks))
		}
		w.given("N1", "1")
		w.given("N2", "1")
		w.pass(10 * DefaultEvery)
		if w.number(&w.looks) < 8 || w.number(&w.looks) > 12 {
			t.Errorf("%d looks in ten intervals", w.number(&w.looks))
		}
		before := w.number(&w.looks)
		w.locked(func() { w.apps = nil })
		w.pass(2 * time.Second)
		looks := w.number(&w.looks)
		w.pass(time.Minute)
		if w.number(&w.looks) != looks || looks > before+1 {
			t.Errorf("%d looks at what nobody names", w.number(&w.looks)-before)
		}
	})
}

// TestOvertaken: what a host was given after the last look is not taken for old; the Secret is looked at again.
func TestOvertaken(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
		w.given("N1", "1")
		w.pass(3 * time.Second)
		w.set("2")
		w.given("N1", "2")
		w.pass(2 * passInterval)
		if st := w.status(); st.State != oam.SecretResolved || st.Hosts[0].Version != "2" || st.Version != "2" {
			t.Errorf("told %+v", st)
		}
		if got := w.does(); len(got) > 0 {
			t.Errorf("hosts were told %q", got)
		}
	})
}

// TestTerms: a process that does not lead neither tells nor does anything; one that leads again begins anew.
func TestTerms(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
		w.given("N1", "1")
		w.pass(3 * time.Second)
		w.locked(func() { w.follows = true })
		w.pass(2 * time.Second)
		w.set("2")
		reports, looks := w.number(&w.reports), w.number(&w.looks)
		w.pass(time.Minute)
		if got := w.does(); len(got) > 0 || w.number(&w.reports) != reports || w.number(&w.looks) != looks {
			t.Errorf("hosts were told %q, the status written %d times", got, w.number(&w.reports)-reports)
		}
		if m := w.gathered(); len(m) != 0 && m["trellis_rotation_stale"] != 0 {
			t.Errorf("metrics %v", m)
		}
		w.locked(func() { w.follows = false })
		w.pass(2 * time.Second)
		w.given("N1", "1")
		w.pass(3 * time.Second)
		if got := w.does(); len(got) != 1 {
			t.Errorf("hosts were told %q", got)
		}
	})
}

// TestNothingIsKnown: as long as hosts or applications are not known, what is told stays.
func TestNothingIsKnown(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
		w.given("N1", "1")
		w.pass(3 * time.Second)
		w.locked(func() { w.lost, w.running = errors.New("no connection"), nil })
		w.pass(time.Minute)
		w.locked(func() { w.lost, w.broken = nil, errors.New("no API") })
		w.pass(time.Minute)
		if st := w.status(); st.State != oam.SecretResolved {
			t.Errorf("told %+v", st)
		}
		w.locked(func() { w.broken = nil })
		w.pass(2 * time.Second)
		if st := w.status(); st.State != oam.SecretPending || st.HostCount != 0 {
			t.Errorf("told %+v", st)
		}
	})
}

// TestUndeployed: nothing is told of an application that is not deployed, and outcomes that concern nobody are forgotten.
func TestUndeployed(t *testing.T) {
	inWorld(t, policy.RotationDeliver, []string{"N1"}, func(w *world) {
		w.given("N1", "1")
		w.pass(3 * time.Second)
		w.locked(func() { w.apps[0].Wanted = nil })
		w.pass(2 * time.Second)
		w.locked(func() {
			if got := w.apps[0].Told; len(got) != 0 {
				t.Errorf("told %+v", got)
			}
		})
		if got := w.forgotten(); len(got) > 0 {
			t.Errorf("forgotten too early: %v", got)
		}
		w.pass(idleOutcomes + time.Minute)
		if got := w.forgotten(); len(got) != 1 || got[0].Version != "1" {
			t.Errorf("forgotten: %v", got)
		}
	})
}

// TestMetricNames compares what is described with the page about it, line by line: dashboards depend on the names.
func TestMetricNames(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented, described []string
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `trellis_rotation_") {
			documented = append(documented, strings.Trim(strings.TrimSpace(cells[1]), "`")+" "+strings.TrimSpace(cells[3]))
		}
	}
	descriptions := make(chan *prometheus.Desc, 10)
	for _, c := range newMetrics().collectors() {
		c.Describe(descriptions)
	}
	close(descriptions)
	for d := range descriptions {
		var name, help string
		if _, err := fmt.Sscanf(d.String(), "Desc{fqName: %q, help: %q", &name, &help); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		described = append(described, name+" "+help)
	}
	if diff := cmp.Diff(described, documented); diff != "" {
		t.Errorf("docs/spec/metrics.md differs (-code +page):\n%s", diff)
	}
}
