//go:build conformance && linux

package conformance

import (
	"net/http"
	"strconv"
	"strings"
)

// moved says what a write changed of an object's own account.
func moved(before, after *answer) string {
	var out []string
	for _, key := range []string{"resourceVersion", "generation", "uid", "creationTimestamp"} {
		if text(before.object, "metadata", key) != text(after.object, "metadata", key) {
			out = append(out, key)
		}
	}
	if len(out) == 0 {
		return strconv.Itoa(after.code) + " nothing"
	}
	return strconv.Itoa(after.code) + " " + strings.Join(out, " ")
}

func checkUpdate(r *transcript) {
	first := r.must(http.MethodPost, "", r.app("one"))
	update := func(from *answer, change ...func(map[string]any)) *answer {
		return r.do(http.MethodPut, "/one", changed(r.t, from.object, change...))
	}
	second := update(first, image("ghcr.io/acme/web:2"))
	r.note("the spec", moved(first, second))
	r.note("the version grows", number(second.version()) > number(first.version()))
	r.note("a stale version", update(first, image("ghcr.io/acme/web:3")))
	r.note("without a version", update(second, set("", "metadata", "resourceVersion")))
	r.note("a version that is none", update(second, set("abc", "metadata", "resourceVersion")))
	third := update(second, set("b", "metadata", "labels", "a"), set("d", "metadata", "annotations", "c"))
	r.note("metadata", moved(second, third))
	r.note("nothing", moved(third, update(third)))
	r.note("a status", moved(third, update(third, set("Deployed", "status", "phase"))))
	r.note("its status afterwards", text(r.must(http.MethodGet, "/one", nil).object, "status", "phase"))
	r.note("another name", update(third, set("two", "metadata", "name")))
	r.note("no name", update(third, set("", "metadata", "name")))
	r.note("another namespace", update(third, set("default", "metadata", "namespace")))
	r.note("another uid", update(third, set("11111111-1111-1111-1111-111111111111", "metadata", "uid")))
	r.note("no uid", moved(third, update(third, set("", "metadata", "uid"))))
	r.note("another creation", moved(third, update(third, set("2001-01-01T00:00:00Z", "metadata", "creationTimestamp"))))
	r.note("another generation", moved(third, update(third, set(99, "metadata", "generation"))))
	r.note("a deletion", update(third, set("2001-01-01T00:00:00Z", "metadata", "deletionTimestamp")))
	r.note("managed fields cleared", moved(third, r.do(http.MethodPut, "/one?fieldManager=x",
		changed(r.t, r.must(http.MethodGet, "/one", nil).object, set([]any{map[string]any{}}, "metadata", "managedFields")))))
	r.note("an invalid label", update(r.must(http.MethodGet, "/one", nil), set("a b", "metadata", "labels", "a")))
	r.ask("missing", http.MethodPut, "/missing", r.app("missing", set("1", "metadata", "resourceVersion")))
	r.ask("missing, without a version", http.MethodPut, "/missing", r.app("missing"))
	r.ask("nothing sent", http.MethodPut, "/one", "")
	r.note("another kind", r.do(http.MethodPut, "/one", r.app("one", set("ConfigMap", "kind"))).brief())
	r.ask("fieldManager too long", http.MethodPut, "/one?fieldManager="+strings.Repeat("x", 200), first.object)
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64) // 0 is smaller than any version
	return n
}

func checkGet(r *transcript) {
	r.must(http.MethodPost, "", r.app("one"))
	r.ask("it", http.MethodGet, "/one", nil)
	r.ask("missing", http.MethodGet, "/missing", nil)
	r.ask("from the cache", http.MethodGet, "/one?resourceVersion=0", nil)
	r.ask("a version that is none", http.MethodGet, "/one?resourceVersion=abc", nil)
	r.ask("a version of the future", http.MethodGet, "/one?resourceVersion=99999999", nil)
	r.ask("YAML", http.MethodGet, "/missing", nil, "Accept: application/yaml")
	r.note("protobuf alone", r.do(http.MethodGet, "/one", nil, "Accept: application/vnd.kubernetes.protobuf").code)
	r.ask("protobuf or JSON", http.MethodGet, "/one", nil, "Accept: application/vnd.kubernetes.protobuf,application/json")
	r.ask("plain text", http.MethodGet, "/one", nil, "Accept: text/plain")
	r.ask("whatever", http.MethodGet, "/one", nil, "Accept: */*")
	r.note("pretty", strings.Count(string(r.must(http.MethodGet, "/one?pretty=true", nil).body), "\n") > 5)
	r.note("not pretty", strings.Count(strings.TrimSpace(string(r.must(http.MethodGet, "/one", nil).body)), "\n"))
	r.note("cached by browsers", r.do(http.MethodGet, "/one", nil).header.Get("Cache-Control"))
	r.note("compressed", r.do(http.MethodGet, "/one", nil, "Accept-Encoding: gzip").header.Get("Content-Encoding"))
}

func checkPatch(r *transcript) {
	first := r.must(http.MethodPost, "", r.app("one", set("b", "metadata", "labels", "a")))
	patch := func(kind, body string) *answer { return r.do(http.MethodPatch, "/one", body, kind) }
	r.note("JSON patch", moved(first, patch(jsonPatch, `[{"op":"replace","path":"/spec/components/0/properties/image","value":"ghcr.io/acme/web:2"}]`)))
	r.note("JSON patch: test holds", patch(jsonPatch, `[{"op":"test","path":"/metadata/labels/a","value":"b"},{"op":"add","path":"/metadata/labels/c","value":"d"}]`))
	r.note("JSON patch: test fails", patch(jsonPatch, `[{"op":"test","path":"/metadata/labels/a","value":"x"}]`))
	r.note("JSON patch: remove", text(patch(jsonPatch, `[{"op":"remove","path":"/metadata/labels/c"}]`).object, "metadata", "labels"))
	r.note("JSON patch: remove what is not there", patch(jsonPatch, `[{"op":"remove","path":"/metadata/labels/x"}]`))
	r.note("JSON patch: no list", patch(jsonPatch, `{"op":"remove"}`))
	r.note("JSON patch: unknown operation", patch(jsonPatch, `[{"op":"nonsense","path":"/metadata"}]`))
	r.note("JSON patch: no JSON", patch(jsonPatch, `[`))
	r.note("JSON patch: too many", patch(jsonPatch, `[`+strings.Repeat(`{"op":"add","path":"/metadata/labels/c","value":"d"},`, 10000)+`{"op":"add","path":"/metadata/labels/c","value":"d"}]`))
	now := r.must(http.MethodGet, "/one", nil)
	r.note("merge patch: nothing", moved(now, patch(mergePatch, `{}`)))
	r.note("merge patch: what is there", moved(now, patch(mergePatch, `{"metadata":{"labels":{"a":"b"}}}`)))
	r.note("merge patch: a label", moved(now, patch(mergePatch, `{"metadata":{"labels":{"x":"y"}}}`)))
	r.note("merge patch: null removes", text(patch(mergePatch, `{"metadata":{"labels":{"x":null}}}`).object, "metadata", "labels"))
	r.note("merge patch: a list is replaced", len(at(patch(mergePatch, `{"spec":{"components":[]}}`).object, "spec", "components").([]any)))
	r.note("merge patch: no JSON", patch(mergePatch, `{`))
	r.note("merge patch: a list", patch(mergePatch, `[]`))
	r.note("merge patch: spec of another type", patch(mergePatch, `{"spec":"x"}`).brief())
	r.note("merge patch: stale version", patch(mergePatch, `{"metadata":{"resourceVersion":"`+first.version()+`","labels":{"q":"q"}}}`))
	r.note("merge patch: another name", patch(mergePatch, `{"metadata":{"name":"two"}}`))
	r.note("merge patch: another uid", patch(mergePatch, `{"metadata":{"uid":"11111111-1111-1111-1111-111111111111"}}`))
	r.note("merge patch: another kind", patch(mergePatch, `{"kind":"ConfigMap"}`).brief())
	now = r.must(http.MethodGet, "/one", nil)
	r.note("merge patch: a status", moved(now, patch(mergePatch, `{"status":{"phase":"Deployed"}}`)))
	r.note("strategic merge patch", patch(strategicPatch, `{"metadata":{"labels":{"s":"t"}}}`).brief())
	r.note("another content type", patch("Content-Type: text/plain", `{}`).brief())
	r.note("JSON as a patch", patch("Content-Type: application/json", `{}`).brief())
	r.note("force without apply", r.do(http.MethodPatch, "/one?force=true", `{}`, mergePatch))
	for name, kind := range map[string]string{"JSON patch": jsonPatch, "merge patch": mergePatch} {
		body := `{}`
		if kind == jsonPatch {
			body = `[]`
		}
		r.ask(name+": missing", http.MethodPatch, "/missing", body, kind)
	}
	r.ask("not what it says", http.MethodPatch, "/one", `[]`, "Content-Type: application/merge-patch+json; charset=utf-8")
}
