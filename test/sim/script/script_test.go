package script_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
	"github.com/trellis-operator/trellis/test/sim/script"
)

const story = `
steps:
- at: 0s
  start: {count: 4, labels: {zone: a}}
- start: {count: 2, labels: {zone: b}}
- at: 10s
  kill: {label: zone=a, count: 3}
- at: 11s
  stop: {label: zone=a}
- at: 11s
  faults: {loseEvent: 1, delayReply: 5ms..50ms, failing: {"bad:1": "no such image"}, flapping: [p]}
- at: 20s
  restart: {}
- at: 30s
  calm: true
  event: {host: NGHOST, kind: component_scaled, data: {component_id: c, max_instances: 0}}
  report: true
`

func TestScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := sim.New(sim.Config{Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var told []string
		l.Subscribe(func(m sim.Message) {
			e, err := lattice.DecodeEvent(m.Data)
			if err != nil {
				t.Error(err)
			}
			told = append(told, string(e.Kind()))
		})
		s, err := script.Parse([]byte(story))
		if err != nil {
			t.Fatal(err)
		}
		reports := 0
		began := time.Now()
		if err := script.NewRunner(l, 3, func() { reports++ }).Run(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 30*time.Second || reports != 1 {
			t.Errorf("it took %s and reported %d times", took, reports)
		}
		started := slices.Repeat([]string{"host_started"}, 6)
		if want := append(started, "host_stopped", "component_scaled"); !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if hosts := l.Hosts(); len(hosts) != 2 {
			t.Errorf("hosts %v, want the two of zone b", hosts)
		}
	})
}

func TestParse_Errors(t *testing.T) {
	for text, want := range map[string]string{
		`steps: [{kil: {count: 1}}]`:                        `unknown field "kil"`,
		`steps: [{at: soon}]`:                               "invalid duration",
		`steps: [{buckets: gone}]`:                          `use "down" or "up"`,
		`steps: [{stop: {label: zone}}]`:                    "not key=value",
		`steps: [{faults: {lateBy: 9ms..5ms}}]`:             "no range of times",
		`steps: [{calm: true, faults: {delayEvent: 5..6}}]`: "missing unit",
	} {
		if _, err := script.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestScript_HostID: who wants to be taken for a certain host says its id.
func TestScript_HostID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := sim.New(sim.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s, err := script.Parse([]byte("steps: [{start: {id: NHOST, labels: {zone: a}}}]"))
		if err != nil {
			t.Fatal(err)
		}
		if err := script.NewRunner(l, 1, nil).Run(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if found, _ := l.Inventory("NHOST"); !slices.Equal(l.Hosts(), []string{"NHOST"}) || found.Labels["zone"] != "a" {
			t.Errorf("hosts %v, labels %v", l.Hosts(), found.Labels)
		}
	})
}
