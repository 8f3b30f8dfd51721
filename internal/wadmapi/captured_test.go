package wadmapi_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

type recorded struct {
	Subject string              `json:"subject"`
	Reply   string              `json:"reply"`
	Headers map[string][]string `json:"headers"`
	JSON    json.RawMessage     `json:"json"`
	Text    string              `json:"text"`
}

func (r recorded) body() string {
	if r.JSON != nil {
		return string(r.JSON)
	}
	return r.Text
}

func readRecorded(t *testing.T, name string) []recorded {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "test", "fixtures", "captured", name))
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var r recorded
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// exchange is a recorded request, its recorded reply, and the wadm events recorded between the two.
type exchange struct {
	request, reply recorded
	events         []recorded
}

func exchanges(all []recorded) []exchange {
	var out []exchange
	open := map[string]int{}
	for _, r := range all {
		if strings.HasPrefix(r.Subject, "wadm.api.") {
			open[r.Reply] = len(out)
			out = append(out, exchange{request: r})
			continue
		}
		if i, ok := open[r.Subject]; ok {
			out[i].reply = r
		}
		if strings.HasPrefix(r.Subject, "wadm.evt.") && len(out) > 0 {
			last := &out[len(out)-1]
			last.events = append(last.events, r)
		}
	}
	return out
}

// TestRecordedSessions replays what wash and others asked wadm: same replies, same events. What the lattice did in the
// meantime is played by writing the recorded status into the application.
func TestRecordedSessions(t *testing.T) {
	for _, name := range []string{"host-and-wadm.jsonl", "wash-session.jsonl"} {
		t.Run(name, func(t *testing.T) {
			session := exchanges(readRecorded(t, name))
			api := newFakeAPI()
			for _, x := range session {
				api.ulids = append(api.ulids, madeUpVersion(t, x)...)
			}
			w := start(t, api)
			events, err := w.conn.SubscribeSync("wadm.evt.default.>")
			if err != nil {
				t.Fatal(err)
			}
			for i, x := range session {
				tail := strings.TrimPrefix(x.request.Subject, "wadm.api.default.")
				playStatus(t, api, x.reply)
				contentType := ""
				if ct := x.request.Headers["Content-Type"]; len(ct) > 0 {
					contentType = ct[0]
				}
				got := w.ask(tail, contentType, x.request.body())
				if diff := cmp.Diff(withoutPathIDs(parse(t, x.reply.JSON)), withoutPathIDs(got)); diff != "" {
					t.Errorf("exchange %d, %s (-recorded +ours):\n%s", i, tail, diff)
				}
				compareEvents(t, tail, x.events, events)
			}
		})
	}
}

// withoutPathIDs blanks the scaler ids of components from files: they are hashes over the image, and the recording
// shortened the paths of images. All others are compared.
func withoutPathIDs(v any) any {
	fromFiles := map[any]bool{"hello_world-http_component": true, "two_zones-web": true, "broken_image-web": true}
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutPathIDs(v[i])
		}
	case map[string]any:
		if fromFiles[v["name"]] && v["kind"] == "SpreadScaler" {
			v["id"] = ""
		}
		for k := range v {
			v[k] = withoutPathIDs(v[k])
		}
	}
	return v
}

func madeUpVersion(t *testing.T, x exchange) []string {
	var reply struct {
		Version string `json:"current_version"`
	}
	if !strings.HasSuffix(x.request.Subject, "model.put") || json.Unmarshal(x.reply.JSON, &reply) != nil {
		return nil
	}
	if len(reply.Version) != 26 { // no ULID: the manifest named it
		return nil
	}
	return []string{reply.Version}
}

func compareEvents(t *testing.T, tail string, want []recorded, sub *nats.Subscription) {
	t.Helper()
	for _, w := range want {
		msg, err := sub.NextMsg(5 * time.Second)
		if err != nil {
			t.Errorf("%s: no event %s: %v", tail, w.Subject, err)
			return
		}
		recordedEvent, ours := parse(t, w.JSON).(map[string]any), parse(t, msg.Data).(map[string]any)
		for _, member := range []string{"id", "time"} {
			if len(ours[member].(string)) != len(recordedEvent[member].(string)) {
				t.Errorf("%s: event member %s is %q, recorded like %q", tail, member, ours[member], recordedEvent[member])
			}
			delete(recordedEvent, member)
			delete(ours, member)
		}
		if diff := cmp.Diff(recordedEvent, ours); diff != "" || msg.Subject != w.Subject {
			t.Errorf("%s: event on %s (-recorded +ours):\n%s", tail, msg.Subject, diff)
		}
	}
	if n, _, err := sub.Pending(); err != nil || n != 0 {
		t.Errorf("%s: %d events more than recorded, error %v", tail, n, err)
	}
}

type recordedStatus struct {
	Status struct {
		Type string `json:"type"`
	} `json:"status"`
	Scalers []struct {
		Kind   string `json:"kind"`
		Name   string `json:"name"`
		Status struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"status"`
	} `json:"scalers"`
}

// playStatus writes the status that a reply shows into the applications, as the orchestrator would have.
func playStatus(t *testing.T, api *fakeAPI, reply recorded) {
	t.Helper()
	var one struct {
		Message string          `json:"message"`
		Status  *recordedStatus `json:"status"`
	}
	type listed struct {
		Name   string         `json:"name"`
		Status recordedStatus `json:"detailed_status"`
	}
	var bare []listed
	var wrapped struct {
		Models []listed `json:"models"`
	}
	if json.Unmarshal(reply.JSON, &one) == nil && one.Status != nil {
		words := strings.Fields(one.Message)
		playOne(api, words[len(words)-1], *one.Status)
	}
	if json.Unmarshal(reply.JSON, &bare) != nil && json.Unmarshal(reply.JSON, &wrapped) == nil {
		bare = wrapped.Models
	}
	for _, l := range bare {
		playOne(api, l.Name, l.Status)
	}
}

func playOne(api *fakeAPI, name string, s recordedStatus) {
	if api.get(name) == nil {
		return
	}
	api.edit(name, func(app *oam.Application) {
		version := app.Status.Version
		app.Status = oam.ApplicationStatus{Version: version, ObservedGeneration: app.Generation, Phase: map[string]oam.ApplicationPhase{
			"deployed": oam.PhaseDeployed, "reconciling": oam.PhaseReconciling, "failed": oam.PhaseFailed,
		}[s.Status.Type]}
		for _, sc := range s.Scalers {
			ready := sc.Status.Type == "deployed"
			if sc.Kind != "LinkScaler" {
				c := oam.ComponentStatus{ID: sc.Name, Desired: 1, Message: sc.Status.Message}
				if ready {
					c.Running = 1
				}
				app.Status.Components = append(app.Status.Components, c)
				continue
			}
			source, rest, _ := strings.Cut(sc.Name, " -(")
			face, target, _ := strings.Cut(rest, ")-> ")
			app.Status.Links = append(app.Status.Links, oam.LinkStatus{
				Source: source, Target: target, Name: "default", Interface: face, Ready: ready, Message: sc.Status.Message,
			})
		}
	})
}
