//go:build conformance && linux

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/nats-io/nats.go"
)

// checkCompaction asks for history that was given up. kube-apiserver of these tests does so soon; the store of Trellis gets
// the record that a replica of it would write.
func checkCompaction(r *transcript) {
	for i := range 5 {
		r.must(http.MethodPost, "", r.app(fmt.Sprintf("app-%d", i)))
	}
	first := r.must(http.MethodGet, "?limit=2", nil)
	old := first.version()
	for i := range 5 {
		r.must(http.MethodPatch, fmt.Sprintf("/app-%d", i), `{"metadata":{"labels":{"a":"b"}}}`, mergePatch)
	}
	now := r.must(http.MethodGet, "", nil).version()
	r.must(http.MethodPatch, "/app-0", `{"metadata":{"labels":{"a":"c"}}}`, mergePatch)
	r.note("before: exact", names(r.do(http.MethodGet, "?resourceVersionMatch=Exact&resourceVersion="+old, nil)))
	compact(r, now)
	next := "continue=" + url.QueryEscape(text(first.object, "metadata", "continue"))
	eventually(r.t, "history is given up", func() string {
		if a := r.do(http.MethodGet, "?limit=2&"+next, nil); a.code != http.StatusGone {
			return a.String()
		}
		return ""
	})
	expired := r.ask("an expired token", http.MethodGet, "?limit=2&"+next, nil)
	fresh := text(expired.object, "metadata", "continue")
	r.note("a token to go on", fresh != "")
	r.note("the rest, of another moment", page(r.do(http.MethodGet, "?limit=2&continue="+url.QueryEscape(fresh), nil)))
	r.note("exact", r.do(http.MethodGet, "?resourceVersionMatch=Exact&resourceVersion="+old, nil))
	r.note("exact, with limit", r.do(http.MethodGet, "?limit=1&resourceVersionMatch=Exact&resourceVersion="+old, nil))
	r.note("not older than what is gone", names(r.do(http.MethodGet, "?resourceVersionMatch=NotOlderThan&resourceVersion="+old, nil)))
	r.note("writes go on", r.do(http.MethodPatch, "/app-1", `{"metadata":{"labels":{"a":"d"}}}`, mergePatch).code)
}

func compact(r *transcript, version string) {
	r.t.Helper()
	if r.kind == theirs {
		return
	}
	conn, err := nats.Connect(world.plane.NATS)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	js, err := conn.JetStream()
	if err != nil {
		r.t.Fatal(err)
	}
	stream, err := js.StreamInfo("TRELLIS_OBJECTS")
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"format": 1, "revision": number(version)})
	if err != nil {
		r.t.Fatal(err)
	}
	message := nats.NewMsg("TRELLIS_OBJECTS." + stream.Config.Metadata["trellis-store-id"] + ".meta.compact")
	message.Data = body
	message.Header.Set("Trellis-Format", "1")
	if _, err := js.PublishMsg(message); err != nil {
		r.t.Fatal(err)
	}
}
