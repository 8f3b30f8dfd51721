package sim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

// rig is a lattice in a bubble of virtual time, with what it published.
type rig struct {
	*testing.T
	*sim.Lattice
	*sim.Client
	store *sim.Memory

	mu     sync.Mutex // the lattice writes what follows while the test may sleep
	events []lattice.Event
	raw    int
}

const (
	ms  = time.Millisecond
	ref = "ghcr.io/acme/hello:0.1.0"
)

func inBubble(t *testing.T, c sim.Config, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, store: sim.NewMemory()}
		c := c
		if c.CommandDelay == (sim.Range{}) {
			c.CommandDelay = sim.Fixed(5 * ms)
		}
		c.Buckets = r.store
		var err error
		if r.Lattice, err = sim.New(c); err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		r.Client = sim.NewClient(r.Lattice, sim.ClientOptions{})
		r.Subscribe(func(m sim.Message) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.raw++
			if e, err := lattice.DecodeEvent(m.Data); err == nil {
				r.events = append(r.events, e)
			}
		})
		test(r)
	})
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// send sends a command and returns the answers of a second.
func (r *rig) send(subject, body string) (answers []string) {
	r.Helper()
	r.Handle("wasmbus.ctl.v1.default."+subject, []byte(body), func(_ string, answer []byte) {
		answers = append(answers, string(answer))
	})
	r.pass(time.Second)
	return answers
}

// want sends a command that gets one answer.
func (r *rig) want(subject, body, answer string) {
	r.Helper()
	got := r.send(subject, body)
	if len(got) != 1 || !sameJSON(r.T, got[0], answer) {
		r.Errorf("%s %s\nanswers %s\nwant    %s", subject, body, got, answer)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	return fmt.Sprint(plain(t, []byte(a))) == fmt.Sprint(plain(t, []byte(b)))
}

// told are the events since the last call, one line each.
func (r *rig) told() (lines []string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		switch d := e.Data.(type) {
		case lattice.ComponentScaled:
			lines = append(lines, fmt.Sprintf("scaled %s %s %d %v", d.ComponentID, d.ImageRef, d.MaxInstances, map[string]string(d.Annotations)))
		case lattice.ComponentScaleFailed:
			lines = append(lines, fmt.Sprintf("scale failed %s: %s", d.ComponentID, d.Error))
		case lattice.ProviderStartFailed:
			lines = append(lines, fmt.Sprintf("start failed %s %s: %s", d.ProviderID, d.ProviderRef, d.Error))
		case lattice.ProviderStarted:
			lines = append(lines, fmt.Sprintf("started %s %s", d.ProviderID, d.ImageRef))
		case lattice.LinkSetFailed:
			lines = append(lines, "link failed: "+d.Error)
		default:
			lines = append(lines, string(e.Kind()))
		}
	}
	r.events = nil
	return lines
}

func (r *rig) wantTold(want ...string) {
	r.Helper()
	if got := r.told(); !slices.Equal(got, want) {
		r.Errorf("events:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// scaleBody is a scale command with more or other members.
func scaleBody(host string, count int, more string) string {
	body := map[string]any{"component_id": "c", "component_ref": ref, "count": count, "host_id": host, "config": []string{},
		"annotations": map[string]string{"a": "1"}}
	if err := json.Unmarshal([]byte("{"+more+"}"), &body); err != nil {
		panic(err)
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(data)
}

const accepted = `{"success":true,"message":""}`
