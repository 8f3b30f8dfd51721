//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trellis-operator/trellis/internal/lease"
)

// inFlight is how many commands a process may have under way in one lattice: as many may be past the last look at the
// lease when the process is stopped.
const inFlight = 64

// One replica commands the hosts. It is killed, or stopped and let go again when another one has taken over, when it has
// just begun to place twenty applications on hosts that came back empty: they arrive all the same, nothing is undone on the
// way, and of one that was stopped no more is heard than what was past its last look at the lease.
func TestTheHolderOfTheLeaseIsLost(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { renewPods(t, "operator") })
			awaitSystem(t)
			d := newDay(t)
			pid, err := processOf(t, system, holder(t, d.lattice), "trellis")
			if err != nil {
				t.Fatal(err)
			}
			d.step(t, "deploy", func() { d.applyAll(t, 1) })
			w := listen(t, d)
			d.killHosts(t)
			first := w.next(t, "", time.Minute)
			if err := syscall.Kill(pid, signal); err != nil {
				t.Fatal(err)
			}
			lost := time.Now()
			next := w.next(t, first.process, time.Minute)
			t.Logf("taken over %s after it was %s", next.at.Sub(lost).Round(10*time.Millisecond), name)
			if signal == syscall.SIGSTOP {
				if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			d.step(t, "all arrive", func() {})
			if late := w.late(first.process, next); len(late) > inFlight {
				t.Errorf("%d commands of the process that was %s after the next one had begun: %v", len(late), name, late)
			} else {
				t.Logf("%d late commands", len(late))
			}
			if undone := w.undone(); len(undone) > 0 {
				t.Errorf("something was undone on the way: %v", undone)
			}
			kubectl(t, "delete", "applications", "--all", "-n", d.namespace, "--timeout=60s")
		})
	}
}

// holder is the pod that commands the hosts of the lattice.
func holder(t *testing.T, v *latticeView) (pod string) {
	t.Helper()
	eventually(t, time.Minute, "somebody holds the lease", func() error {
		kv, err := v.js.KeyValue(t.Context(), lease.Bucket)
		if err != nil {
			return err
		}
		entry, err := kv.Get(t.Context(), v.cluster+"."+latticeName)
		if err != nil {
			return err
		}
		var record struct {
			Holder   string `json:"holder"`
			Released bool   `json:"released"`
		}
		if err := json.Unmarshal(entry.Value(), &record); err != nil || record.Released || record.Holder == "" {
			return fmt.Errorf("the lease is %s (%v)", entry.Value(), err)
		}
		pod = record.Holder
		return nil
	})
	return pod
}

// witness hears the commands to hosts about the applications of a day, and tells processes apart by their inboxes.
type witness struct {
	day      *day
	mu       sync.Mutex
	commands []heard
}

type heard struct {
	at                     time.Time
	process, command, data string
}

var changesLattice = regexp.MustCompile(`^(component\.(scale|update)|provider\.(start|stop)|link\.(put|del)|config\.(put|del))(\.|$)`)

func listen(t *testing.T, d *day) *witness {
	t.Helper()
	w := &witness{day: d}
	prefix := "wasmbus.ctl.v1." + latticeName + "."
	id := strings.ReplaceAll(d.namespace, "-", "_")
	_, err := d.lattice.conn.Subscribe(prefix+">", func(m *nats.Msg) {
		command := strings.TrimPrefix(m.Subject, prefix)
		if !changesLattice.MatchString(command) || !strings.Contains(m.Subject+string(m.Data), id) {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		inbox := strings.SplitN(m.Reply, ".", 3)
		w.commands = append(w.commands, heard{time.Now(), strings.Join(inbox[:min(2, len(inbox))], "."), command, string(m.Data)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.lattice.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return w
}

// next waits for the first command of a process other than the one named.
func (w *witness) next(t *testing.T, other string, limit time.Duration) (found heard) {
	t.Helper()
	eventually(t, limit, "a command", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		i := slices.IndexFunc(w.commands, func(h heard) bool { return h.process != other })
		if i < 0 {
			return fmt.Errorf("%d commands so far", len(w.commands))
		}
		found = w.commands[i]
		return nil
	})
	return found
}

// late are the commands of a process after the first one of its successor.
func (w *witness) late(process string, after heard) (late []heard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.commands {
		if h.process == process && h.at.After(after.at) {
			late = append(late, h)
		}
	}
	return late
}

// undone are commands that end something.
func (w *witness) undone() (ends []heard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.commands {
		verb := strings.Join(strings.SplitN(h.command, ".", 3)[:2], ".")
		zero := verb == "component.scale" && strings.Contains(h.data, `"count":0`)
		if zero || verb == "provider.stop" || verb == "link.del" || verb == "config.del" {
			ends = append(ends, h)
		}
	}
	return ends
}
