package takeover

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	oam "github.com/trellis-operator/trellis/api/oam/v1beta1"
)

// recorded is a message of test/fixtures/captured.
type recorded struct {
	Subject string              `json:"subject"`
	Reply   string              `json:"reply"`
	Headers map[string][]string `json:"headers"`
	JSON    json.RawMessage     `json:"json"`
}

// kept is what a client of wadm knows of its applications by the replies that it got.
type kept map[string]*keptApp

type keptApp struct {
	Versions []string
	Deployed string
}

// hear follows the replies that change something.
func (k kept) hear(operation, name string, reply json.RawMessage) (changed bool) {
	var r struct {
		Result, Name, Message string
		Current               string  `json:"current_version"`
		Version               *string `json:"version"`
	}
	if json.Unmarshal(reply, &r) != nil {
		return false
	}
	switch operation + " " + r.Result {
	case "put created", "put newversion":
		if k[r.Name] == nil {
			k[r.Name] = &keptApp{Deployed: "none"}
		}
		k[r.Name].Versions = append(k[r.Name].Versions, r.Current)
	case "deploy acknowledged":
		k[r.Name].Deployed = *r.Version
	case "undeploy acknowledged":
		k[r.Name].Deployed = "none"
	case "del deleted":
		version, isOne := strings.CutPrefix(r.Message, "Successfully deleted version ")
		if version, _, _ = strings.Cut(version, " "); !isOne {
			delete(k, name)
			return true
		}
		k[name].Versions = slices.DeleteFunc(k[name].Versions, func(v string) bool { return v == version })
		if k[name].Deployed == version {
			k[name].Deployed = "none"
		}
	default:
		return false
	}
	return true
}

// TestRun_Recorded takes over what a real wadm wrote, after each request that changed something: what comes along is what
// its client was told.
func TestRun_Recorded(t *testing.T) {
	for file, want := range map[string]int{"host-and-wadm.jsonl": 5, "wash-session.jsonl": 5} {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("..", "..", "test", "fixtures", "captured", file))
			if err != nil {
				t.Fatal(err)
			}
			w, told, asked, compared := startWadm(t), kept{}, map[string]string{}, 0
			for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
				var r recorded
				if err := json.Unmarshal(line, &r); err != nil {
					t.Fatal(err)
				}
				if tail, ok := strings.CutPrefix(r.Subject, "wadm.api.default.model."); ok {
					asked[r.Reply] = tail
				}
				if strings.HasPrefix(r.Subject, "$KV."+Bucket+".") {
					w.replay(r)
				}
				operation, name, _ := strings.Cut(asked[r.Subject], ".")
				if told.hear(operation, name, r.JSON) {
					compared++
					w.compare(told)
				}
			}
			if compared < want {
				t.Errorf("%d replies changed something, want %d and more", compared, want)
			}
		})
	}
}

// replay writes as wadm did; what it expected of the sequence was true of its own bucket.
func (w *wadm) replay(r recorded) {
	w.t.Helper()
	msg := nats.NewMsg(r.Subject)
	msg.Data = r.JSON
	for key, values := range r.Headers {
		if !strings.HasPrefix(key, "Nats-Expected-") {
			msg.Header[key] = values
		}
	}
	if _, err := w.conn.RequestMsg(msg, nats.DefaultTimeout); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wadm) compare(want kept) {
	w.t.Helper()
	api := newFakeAPI()
	report, _, err := Run(w.t.Context(), w.config(api, newTold()))
	if err != nil || report.LeftTotal > 0 {
		w.t.Fatalf("%v, %v", report, err)
	}
	got := kept{}
	for name, app := range api.apps {
		got[app.Name] = &keptApp{Versions: api.versions[name], Deployed: app.Annotations[oam.WashDeployedVersionAnnotation]}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("taken over (-told +got):\n%s", diff)
	}
	if err := w.kv.Purge(w.t.Context(), markPrefix+"default"); err != nil {
		w.t.Fatal(err)
	}
}
