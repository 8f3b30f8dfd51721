package lattice

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type recorded struct {
	Subject string          `json:"subject"`
	Reply   string          `json:"reply"`
	JSON    json.RawMessage `json:"json"`
	Text    *string         `json:"text"`
}

func (r recorded) body() []byte {
	if r.Text != nil {
		return []byte(*r.Text)
	}
	return r.JSON
}

func readRecorded(t testing.TB) []recorded {
	t.Helper()
	var all []recorded
	for _, name := range []string{"host-and-wadm.jsonl", "wash-session.jsonl"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "test", "fixtures", "captured", name))
		if err != nil {
			t.Fatalf("read recorded traffic: %v", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r recorded
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, r)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

type recode func([]byte) ([]byte, error)

func recodeAs[T any](data []byte) ([]byte, error) {
	v, err := Decode[T](data)
	if err != nil {
		return nil, err
	}
	return Encode(v)
}

func recodeEvent(data []byte) ([]byte, error) {
	e, err := DecodeEvent(data)
	if err != nil {
		return nil, err
	}
	return EncodeEvent(e)
}

// requestForms and payloadForms say what the body of a request, and the payload of its answer, is.
var requestForms = map[string]recode{
	"component.scale":   recodeAs[ScaleComponent],
	"component.update":  recodeAs[UpdateComponent],
	"component.auction": recodeAs[ComponentAuction],
	"provider.auction":  recodeAs[ProviderAuction],
	"provider.start":    recodeAs[StartProvider],
	"provider.stop":     recodeAs[StopProvider],
	"link.put":          recodeAs[Link],
	"link.del":          recodeAs[DeleteLink],
	"config.put":        recodeAs[Config],
	"label.put":         recodeAs[PutLabel],
	"label.del":         recodeAs[DeleteLabel],
	"host.stop":         recodeAs[StopHost],
}

var payloadForms = map[string]recode{
	"host.ping":         recodeAs[HostPing],
	"host.get":          recodeAs[Inventory],
	"component.auction": recodeAs[ComponentBid],
	"provider.auction":  recodeAs[ProviderBid],
	"link.get":          recodeAs[List[Link]],
	"config.get":        recodeAs[Config],
	"claims.get":        recodeAs[List[StringMap]],
}

// Bodies that the recording sent wrong on purpose: what a host makes of them.
func deliberatelyWrong(key string, body []byte) bool {
	switch key {
	case "component.auction":
		return bytes.Contains(body, []byte("componentRef")) // refused: camel case
	case "component.scale":
		return bytes.Contains(body, []byte("max_instances")) // accepted: ignored, so it means 0
	}
	return false
}

// TestRecordedTraffic decodes every recorded message of the lattice and writes it again: same JSON.
func TestRecordedTraffic(t *testing.T) {
	subjects, err := NewSubjects("", DefaultLattice)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]Operation{}
	counts := map[string]int{}
	for _, r := range readRecorded(t) {
		if op, err := subjects.Parse(r.Subject); err == nil {
			key := op.Noun + "." + op.Verb
			asked[r.Reply] = op
			if form := requestForms[key]; form != nil && len(r.body()) > 0 && !deliberatelyWrong(key, r.body()) {
				counts["request "+key]++
				sameAgain(t, r.Subject, form, r.body())
			}
			continue
		}
		switch {
		case strings.HasPrefix(r.Subject, "wasmbus.evt."):
			counts["event"]++
			sameAgain(t, r.Subject, recodeEvent, r.body())
		case strings.HasPrefix(r.Subject, "$KV.LATTICEDATA_default.COMPONENT_"):
			counts["spec"]++
			sameAgain(t, r.Subject, recodeAs[ComponentSpec], r.body())
		case strings.HasPrefix(r.Subject, "$KV.CONFIGDATA_default.") && len(r.body()) > 0:
			counts["config"]++
			sameAgain(t, r.Subject, recodeAs[Config], r.body())
		case asked[r.Subject].Noun != "":
			op := asked[r.Subject]
			counts["reply"]++
			sameAgain(t, r.Subject, recodeAs[Reply], r.body())
			reply, err := Decode[Reply](r.body())
			if form := payloadForms[op.Noun+"."+op.Verb]; err == nil && form != nil && reply.Response != nil {
				counts["payload "+op.Noun+"."+op.Verb]++
				sameAgain(t, r.Subject, form, reply.Response)
			}
		}
	}
	t.Logf("recoded: %v", counts)
	for _, key := range []string{"event", "spec", "config", "reply", "request component.scale", "request link.put",
		"payload host.ping", "payload host.get", "payload link.get", "payload component.auction"} {
		if counts[key] == 0 {
			t.Errorf("no %q in the recorded traffic", key)
		}
	}
}

func sameAgain(t *testing.T, what string, form recode, body []byte) {
	t.Helper()
	again, err := form(body)
	if err != nil {
		t.Errorf("%s: %v\n%s", what, err, body)
		return
	}
	if diff := cmp.Diff(anyJSON(t, body), anyJSON(t, again)); diff != "" {
		t.Errorf("%s changed (-recorded +ours):\n%s", what, diff)
	}
}

func anyJSON(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, data)
	}
	return v
}

// TestRecordedMistakes holds the two wrong commands of the recording to what the host made of them.
func TestRecordedMistakes(t *testing.T) {
	if _, err := Decode[ComponentAuction]([]byte(`{"componentRef":"file:///hello.wasm","componentId":"hello-http","constraints":{}}`)); err == nil {
		t.Error("an auction in camel case was accepted; hosts refuse it")
	}
	c, err := Decode[ScaleComponent]([]byte(`{"component_id":"hello-http","max_instances":5}`))
	if err != nil || c.Count != 0 {
		t.Errorf("max_instances gave count %d, error %v; hosts ignore it", c.Count, err)
	}
}
