package natskeys_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestBypass_JetStream: JetStream sends for whoever may tell it to. What would let it send anything, read what belongs to
// others or lose it, is not given to hosts.
func TestBypass_JetStream(t *testing.T) {
	w := newSystem(t)
	for _, bucket := range []string{"TRELLIS_default", "others"} {
		_, err := w.stream().CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket})
		w.must(err)
	}
	leaf := w.join(groupOf("team-a", "hosts.eu", nil))
	const api = "$JS.default.API."
	for name, tc := range map[string]struct{ subject, body string }{
		"stream of others' requests":  {api + "STREAM.CREATE.x", `{"name":"x","subjects":["wasmcloud.secrets.>"]}`},
		"stream that sends again":     {api + "STREAM.CREATE.x", `{"name":"x","subjects":["_INBOX.x"],"republish":{"src":">","dest":"` + stopHostB + `"}}`},
		"mirror":                      {api + "STREAM.CREATE.x", `{"name":"x","mirror":{"name":"KV_TRELLIS_default"}}`},
		"source with another subject": {api + "STREAM.CREATE.x", `{"name":"x","sources":[{"name":"KV_others","subject_transforms":[{"src":">","dest":"wasmbus.ctl.>"}]}]}`},
		"bucket of the lattice":       {api + "STREAM.CREATE.KV_CONFIGDATA_default", `{"name":"KV_CONFIGDATA_default","subjects":["wasmcloud.>"]}`},
		"change the bucket":           {api + "STREAM.UPDATE.KV_CONFIGDATA_default", `{"name":"KV_CONFIGDATA_default","subjects":["$KV.CONFIGDATA_default.>","wasmcloud.>"]}`},
		"restore over the bucket":     {api + "STREAM.RESTORE.KV_CONFIGDATA_default", `{"config":{"name":"KV_CONFIGDATA_default"}}`},
		"snapshot":                    {api + "STREAM.SNAPSHOT.KV_CONFIGDATA_default", `{"deliver_subject":"` + stopHostB + `"}`},
		"delete the bucket":           {api + "STREAM.DELETE.KV_CONFIGDATA_default", ``},
		"empty the bucket":            {api + "STREAM.PURGE.KV_CONFIGDATA_default", ``},
		"list of streams":             {api + "STREAM.NAMES", ``},
		"consumer of another bucket":  {api + "CONSUMER.CREATE.KV_TRELLIS_default.x", `{"stream_name":"KV_TRELLIS_default","config":{"name":"x","deliver_subject":"_INBOX.x"}}`},
		"durable consumer":            {api + "CONSUMER.DURABLE.CREATE.KV_CONFIGDATA_default.x", `{"stream_name":"KV_CONFIGDATA_default","config":{"durable_name":"x"}}`},
		"list of consumers":           {api + "CONSUMER.NAMES.KV_CONFIGDATA_default", ``},
		"pull":                        {api + "CONSUMER.MSG.NEXT.KV_CONFIGDATA_default.x", ``},
		"entry of another bucket":     {api + "DIRECT.GET.KV_TRELLIS_default.$KV.TRELLIS_default.x", ``},
		"message of another bucket":   {api + "STREAM.MSG.GET.KV_TRELLIS_default", `{"seq":1}`},
		"write to another bucket":     {api + "$KV.TRELLIS_default.claim", `x`},
		"write to a bucket in short":  {"$KV.TRELLIS_default.claim", `x`},
		"object store":                {api + "$OBJ.x.C.y", `x`},
		"system":                      {"$SYS.REQ.SERVER.PING", ``},
	} {
		t.Run(name, func(t *testing.T) {
			if answer, err := leaf.Request(tc.subject, []byte(tc.body), 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
				t.Errorf("%v, %v; want that nobody answers", answer, err)
			}
		})
	}
	names := map[string]bool{}
	for name := range w.stream().StreamNames(t.Context()).Name() {
		names[name] = true
	}
	if len(names) != 4 {
		t.Errorf("streams: %v", names)
	}
}

// TestBypass_AnotherBucket: the name of the bucket in the subject is what counts, not that in the body.
func TestBypass_AnotherBucket(t *testing.T) {
	w := newSystem(t)
	kv, err := w.stream().CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "TRELLIS_default"})
	w.must(err)
	_, err = kv.PutString(t.Context(), "claim", "hidden")
	w.must(err)
	leaf := w.join(groupOf("team-a", "hosts.eu", nil))
	for _, tc := range []struct{ subject, body string }{
		{"$JS.default.API.CONSUMER.CREATE.KV_CONFIGDATA_default.x", `{"stream_name":"KV_TRELLIS_default","config":{"name":"x","deliver_subject":"_INBOX.x"}}`},
		{"$JS.default.API.DIRECT.GET.KV_CONFIGDATA_default.$KV.TRELLIS_default.claim", ``},
		{"$JS.default.API.STREAM.MSG.GET.KV_CONFIGDATA_default", `{"last_by_subj":"$KV.TRELLIS_default.claim"}`},
	} {
		answer, err := leaf.Request(tc.subject, []byte(tc.body), 5*time.Second)
		w.must(err)
		status := answer.Header.Get("Status")
		var body struct{ Error *struct{ Code int } }
		if status == "" && (json.Unmarshal(answer.Data, &body) != nil || body.Error == nil) {
			t.Errorf("%s: %s", tc.subject, answer.Data)
		}
	}
}

// TestBypass_Left: what NATS can't hold, as docs/rationale/host-permissions.md says: JetStream answers, and sends what hosts
// stored, to any subject that a request names. If this fails, that page has one gap less. What comes that way has no inbox
// to answer to, and the backend of secrets answers to nothing else.
func TestBypass_Left(t *testing.T) {
	w := newSystem(t)
	leaf := w.join(groupOf("team-a", "hosts.eu", nil))
	commands, forged := w.listen(w.operator, "wasmbus.ctl.>", ""), w.listen(w.operator, "wasmcloud.secrets.>", "")
	kv, err := w.jetStream(leaf, "default").KeyValue(t.Context(), "CONFIGDATA_default")
	w.must(err)
	for _, target := range []string{stopHostB, keyOfB} {
		w.listen(leaf, target, "") // JetStream pushes only where somebody listens to just that subject
		w.settle(leaf)
		_, err = kv.PutString(t.Context(), "x", `{"sent to":"`+target+`"}`)
		w.must(err)
		w.must(leaf.PublishRequest("$JS.default.API.DIRECT.GET.KV_CONFIGDATA_default.$KV.CONFIGDATA_default.x", target, nil))
		w.must(leaf.PublishRequest("$JS.default.API.CONSUMER.CREATE.KV_CONFIGDATA_default", "_INBOX.x", fmt.Appendf(nil,
			`{"stream_name":"KV_CONFIGDATA_default","config":{"deliver_subject":%q,"deliver_policy":"last","ack_policy":"none"}}`, target)))
	}
	noInbox := func(m *nats.Msg) {
		if m.Reply != "" && !strings.HasPrefix(m.Reply, "$JS.ACK.") {
			t.Errorf("a forged message may be answered on %s", m.Reply)
		}
	}
	for want := 2; want > 0; want-- {
		noInbox(w.next(commands, "a forged command"))
	}
	noInbox(w.next(forged, "a forged request for a secret"))
}
