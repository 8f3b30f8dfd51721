package sim_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trellis-operator/trellis/internal/lattice"
	"github.com/trellis-operator/trellis/test/sim"
)

// recorded is a line of the recorded traffic.
type recorded struct {
	Time    int             `json:"t_ms"`
	Subject string          `json:"subject"`
	Reply   string          `json:"reply"`
	JSON    json.RawMessage `json:"json"`
	Text    string          `json:"text"`
}

func (r recorded) body() []byte {
	if r.JSON != nil {
		return r.JSON
	}
	return []byte(r.Text)
}

func readRecorded(t *testing.T, name string) (lines []recorded) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "fixtures", "captured", name))
	if err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var r recorded
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, r)
	}
	slices.SortStableFunc(lines, func(a, b recorded) int { return a.Time - b.Time })
	return lines
}

// TestReplay plays the recorded commands to simulated hosts: they answer, report and write what wasmCloud 1.9.2 did.
func TestReplay(t *testing.T) {
	for name, least := range map[string]int{"host-and-wadm.jsonl": 75, "wash-session.jsonl": 75} {
		t.Run(name, func(t *testing.T) {
			lines := readRecorded(t, name)
			synctest.Test(t, func(t *testing.T) {
				p := newReplay(t, lines)
				for _, line := range lines {
					p.play(line)
				}
				p.compare()
				if p.answers < least {
					t.Errorf("only %d answers were compared, want %d", p.answers, least)
				}
				t.Logf("%d answers, %d inventories, %d streams of events and writes compared", p.answers, p.inventories, len(p.theirs))
			})
		})
	}
}

type replay struct {
	*testing.T
	l     *sim.Lattice
	store *sim.Memory
	began time.Time
	// asked are requests whose recorded answer is still to come, with ours.
	asked map[string]*question
	// pending are commands whose end was not recorded yet: what is asked meanwhile depends on the time they took.
	pending map[string]int
	// theirs and ours are what was published and written, by what it is about.
	theirs, ours         map[string][]any
	answers, inventories int
}

type question struct {
	subject string
	timed   bool // depends on how long earlier commands took
	ours    [][]byte
}

func newReplay(t *testing.T, lines []recorded) *replay {
	store := sim.NewMemory()
	l, err := sim.New(sim.Config{Buckets: store, Domain: "default"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	p := &replay{T: t, l: l, store: store, began: time.Now(), asked: map[string]*question{}, pending: map[string]int{},
		theirs: map[string][]any{}, ours: map[string][]any{}}
	p.prepare(lines)
	l.Subscribe(func(m sim.Message) { p.record(p.ours, m.Subject, m.Data) })
	for bucket, prefix := range map[sim.Bucket]string{
		sim.DataBucket: "$KV.LATTICEDATA_default.", sim.ConfigBucket: "$KV.CONFIGDATA_default.",
	} {
		began := false
		stop, err := store.Watch(bucket, func(e sim.Entry) {
			if began {
				p.record(p.ours, prefix+e.Key, e.Value)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		began = true
		t.Cleanup(stop)
	}
	return p
}

// prepare makes what was there before the recording began, and the images that failed in it.
func (p *replay) prepare(lines []recorded) {
	started := map[string]bool{}
	asked := map[string]string{}
	linked := false
	for _, line := range lines {
		if strings.HasPrefix(line.Subject, "wasmbus.ctl.") {
			asked[line.Reply] = line.Subject
		}
		if strings.HasSuffix(asked[line.Subject], ".link.get") && !linked {
			linked = true
			p.storeLinks(line.body())
		}
		if !strings.HasPrefix(line.Subject, "wasmbus.evt.") {
			continue
		}
		e, err := lattice.DecodeEvent(line.body())
		if err != nil {
			p.Fatal(err)
		}
		switch data := e.Data.(type) {
		case lattice.HostStarted:
			started[e.Host] = true
		case lattice.HostHeartbeat:
			if !started[e.Host] {
				started[e.Host] = true
				p.place(data.Inventory)
			}
		case lattice.ProviderStartFailed:
			p.l.SetFaults(func(f *sim.Faults) { f.Failing[data.ProviderRef] = data.Error })
		case lattice.ComponentScaleFailed:
			p.l.SetFaults(func(f *sim.Faults) { f.Failing[data.ImageRef] = data.Error })
		}
	}
}

func (p *replay) storeLinks(body []byte) {
	reply, err := lattice.Decode[lattice.Reply](body)
	if err != nil {
		p.Fatal(err)
	}
	links, err := lattice.Decode[lattice.List[lattice.Link]](reply.Response)
	if err != nil {
		p.Fatal(err)
	}
	if len(links) == 1 && p.isFirst(links[0]) {
		return
	}
	for _, link := range links {
		spec, err := lattice.Encode(lattice.ComponentSpec{Links: lattice.List[lattice.Link]{link}})
		if err == nil {
			err = p.store.Put(sim.DataBucket, "COMPONENT_"+link.SourceID, spec)
		}
		if err != nil {
			p.Fatal(err)
		}
	}
}

// isFirst: the link that the first recording puts itself.
func (p *replay) isFirst(link lattice.Link) bool {
	return link.SourceID == "http-server" && strings.Contains(p.Name(), "host-and-wadm")
}

func (p *replay) place(inv lattice.Inventory) {
	p.l.Start(sim.Host{ID: inv.HostID, Name: inv.FriendlyName, Labels: inv.Labels, FirstHeartbeat: 24 * time.Hour})
	for _, c := range inv.Components {
		p.l.PlaceComponent(inv.HostID, c)
	}
	for _, provider := range inv.Providers {
		p.l.PlaceProvider(inv.HostID, provider)
	}
}

func (p *replay) play(line recorded) {
	if wait := time.Until(p.began.Add(time.Duration(line.Time) * time.Millisecond)); wait > 0 {
		time.Sleep(wait)
	}
	synctest.Wait()
	switch {
	case strings.HasPrefix(line.Subject, "wasmbus.ctl."):
		p.ask(line)
	case p.asked[line.Subject] != nil:
		p.answered(p.asked[line.Subject], line.body())
	case strings.HasPrefix(line.Subject, "wasmbus.evt."):
		p.reported(line)
	case strings.HasPrefix(line.Subject, "$KV.LATTICEDATA_default."), strings.HasPrefix(line.Subject, "$KV.CONFIGDATA_default."):
		p.record(p.theirs, line.Subject, line.body())
	}
}

func (p *replay) ask(line recorded) {
	q := &question{subject: line.Subject, timed: len(p.pending) > 0}
	p.asked[line.Reply] = q
	if strings.Contains(line.Subject, ".component.scale.") {
		p.pending[idOf(line.body())]++
	}
	p.l.Handle(line.Subject, line.body(), func(_ string, answer []byte) { q.ours = append(q.ours, answer) })
}

func idOf(body []byte) string {
	var v struct {
		ComponentID string `json:"component_id"`
	}
	_ = json.Unmarshal(body, &v)
	return v.ComponentID
}

func (p *replay) answered(q *question, theirs []byte) {
	inventory := strings.Contains(q.subject, ".host.get.")
	if q.timed && (inventory || strings.HasSuffix(q.subject, ".link.get")) {
		return
	}
	if len(q.ours) == 0 {
		p.Errorf("no answer to %s, want %s", q.subject, theirs)
		return
	}
	// Of several hosts the order is not told: any of ours will do.
	best := ""
	for _, ours := range q.ours {
		if best = cmp.Diff(plain(p.T, theirs), plain(p.T, ours)); best == "" {
			break
		}
	}
	if best != "" {
		p.Errorf("answer to %s (-recorded +ours):\n%s", q.subject, best)
	}
	p.answers++
}

// reported is an event of the recording. Hosts come and go as it says; heartbeats are compared with inventories.
func (p *replay) reported(line recorded) {
	e, err := lattice.DecodeEvent(line.body())
	if err != nil {
		p.Fatal(err)
	}
	switch data := e.Data.(type) {
	case lattice.HostStarted:
		p.l.Start(sim.Host{ID: e.Host, Name: data.FriendlyName, Labels: data.Labels, FirstHeartbeat: 24 * time.Hour})
	case lattice.HostStopped:
		p.l.Stop(e.Host)
	case lattice.HostHeartbeat:
		ours, alive := p.l.Inventory(e.Host)
		if len(p.pending) > 0 {
			return
		}
		body, err := lattice.Encode(ours)
		if err != nil || !alive {
			p.Fatalf("host %s: alive %v, %v", e.Host, alive, err)
		}
		theirs, err := lattice.Encode(data)
		if err != nil {
			p.Fatal(err)
		}
		if diff := cmp.Diff(plain(p.T, theirs), plain(p.T, body)); diff != "" {
			p.Errorf("heartbeat at %d ms (-recorded +ours):\n%s", line.Time, diff)
		}
		p.inventories++
		return
	case lattice.ComponentScaled:
		delete(p.pending, data.ComponentID)
	case lattice.ComponentScaleFailed:
		delete(p.pending, data.ComponentID)
	}
	p.record(p.theirs, line.Subject, line.body())
}

// record files a message by what it is about.
func (p *replay) record(to map[string][]any, subject string, body []byte) {
	if strings.HasPrefix(subject, "$KV.") {
		var value any
		if len(body) > 0 {
			value = plain(p.T, body)
		}
		to[subject] = append(to[subject], value)
		return
	}
	var e map[string]any
	if err := json.Unmarshal(body, &e); err != nil {
		p.Fatalf("%s: %v", subject, err)
	}
	about := subject
	if data, ok := e["data"].(map[string]any); ok {
		for _, member := range []string{"component_id", "provider_id", "source_id", "config_name"} {
			if id, ok := data[member].(string); ok {
				about += " " + id
			}
		}
	}
	if !strings.Contains(subject, "linkdef") && !strings.Contains(subject, ".config_") {
		about += " " + e["source"].(string) // any host may do the others
	}
	delete(e, "source")
	delete(e, "id")
	delete(e, "time")
	to[about] = append(to[about], e)
}

func (p *replay) compare() {
	keys := slices.Sorted(maps.Keys(p.theirs))
	for key := range p.ours {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if diff := cmp.Diff(p.theirs[key], p.ours[key]); diff != "" {
			p.Errorf("%s (-recorded +ours):\n%s", key, diff)
		}
	}
}

// plain is JSON without what no two runs share, and with lists of objects, whose order hosts leave open, in one order.
func plain(t *testing.T, body []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, body)
	}
	strip(v)
	return v
}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "uptime_human")
		delete(v, "uptime_seconds")
		for _, member := range v {
			strip(member)
		}
	case []any:
		for _, item := range v {
			strip(item)
		}
		if len(v) > 0 {
			if _, objects := v[0].(map[string]any); objects {
				slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
	}
}
