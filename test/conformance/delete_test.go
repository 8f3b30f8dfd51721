//go:build conformance && linux

package conformance

import (
	"fmt"
	"net/http"
	"strings"
)

// options are DeleteOptions.
func options(members ...any) map[string]any {
	o := map[string]any{"apiVersion": "v1", "kind": "DeleteOptions"}
	for i := 0; i < len(members); i += 2 {
		o[members[i].(string)] = members[i+1]
	}
	return o
}

func checkDelete(r *transcript) {
	made := func(name string) *answer { return r.must(http.MethodPost, "", r.app(name)) }
	made("one")
	gone := r.ask("it", http.MethodDelete, "/one", nil)
	r.note("what is told", fmt.Sprintf("%v %v %v uid=%s", at(gone.object, "status"), at(gone.object, "details", "kind"),
		at(gone.object, "details", "group"), yes(uids.MatchString(text(gone.object, "details", "uid")))))
	r.ask("again", http.MethodDelete, "/one", nil)
	uid := text(made("two").object, "metadata", "uid")
	r.ask("its uid, another version", http.MethodDelete, "/two", options("preconditions", map[string]any{"uid": uid, "resourceVersion": "1"}))
	for label, o := range map[string]any{
		"another uid":                 options("preconditions", map[string]any{"uid": "11111111-1111-1111-1111-111111111111"}),
		"another version":             options("preconditions", map[string]any{"resourceVersion": "1"}),
		"an unknown propagation":      options("propagationPolicy", "Nonsense"),
		"propagation said twice":      options("propagationPolicy", "Orphan", "orphanDependents", false),
		"an unknown dry run":          options("dryRun", []any{"Some"}),
		"a field that is none":        `{"nonsense":1}`,
		"no JSON":                     `{`,
		"another kind":                `{"apiVersion":"v1","kind":"ConfigMap"}`,
		"a grace period of text":      `{"gracePeriodSeconds":"x"}`,
		"a version that is no number": options("preconditions", map[string]any{"resourceVersion": "x"}),
	} {
		a := r.do(http.MethodDelete, "/two", o)
		r.note(label, a)
		if a.code/100 == 2 {
			made("two")
		}
	}
	two := r.must(http.MethodGet, "/two", nil)
	r.ask("its uid and version", http.MethodDelete, "/two", options("preconditions",
		map[string]any{"uid": text(two.object, "metadata", "uid"), "resourceVersion": two.version()}))
	made("three")
	r.ask("options as parameters", http.MethodDelete, "/three?gracePeriodSeconds=0&propagationPolicy=Background", nil)
	made("four")
	r.ask("a grace period", http.MethodDelete, "/four", options("gracePeriodSeconds", 30))
	r.ask("afterwards", http.MethodGet, "/four", nil)
	made("five")
	r.ask("missing", http.MethodDelete, "/missing", options("preconditions", map[string]any{"uid": "x"}))
	made("six")
	r.ask("YAML", http.MethodDelete, "/six", "apiVersion: v1\nkind: DeleteOptions\npropagationPolicy: Background\n", "Content-Type: application/yaml")
	again := made("six")
	r.note("a new object of the name", metadataOf(r, again))
}

func checkFinalizers(r *transcript) {
	first := r.must(http.MethodPost, "", r.app("one", set([]any{"example.com/a", "example.com/b"}, "metadata", "finalizers")))
	w := r.watch("", "resourceVersion="+first.version())
	asked := r.ask("delete", http.MethodDelete, "/one", nil)
	r.note("what changes", moved(first, asked))
	r.note("it is being deleted", fmt.Sprintf("%s grace=%s finalizers=%v", text(asked.object, "metadata", "deletionTimestamp"),
		text(asked.object, "metadata", "deletionGracePeriodSeconds"), at(asked.object, "metadata", "finalizers")))
	again := r.ask("delete again", http.MethodDelete, "/one", nil)
	r.note("what changes again", moved(asked, again))
	r.note("create its name", r.do(http.MethodPost, "", r.app("one")))
	patch := func(body string) *answer { return r.do(http.MethodPatch, "/one", body, mergePatch) }
	r.note("a new finalizer", patch(`{"metadata":{"finalizers":["example.com/a","example.com/b","example.com/c"]}}`))
	r.note("a label", moved(again, patch(`{"metadata":{"labels":{"a":"b"}}}`)))
	r.note("no deletion after all", text(patch(`{"metadata":{"deletionTimestamp":null}}`).object, "metadata", "deletionTimestamp"))
	r.note("one of two released", fmt.Sprint(at(patch(`{"metadata":{"finalizers":["example.com/b"]}}`).object, "metadata", "finalizers")))
	r.note("a status meanwhile", r.do(http.MethodPatch, "/one/status", `{"status":{"phase":"Undeployed"}}`, mergePatch).code)
	last := patch(`{"metadata":{"finalizers":[]}}`)
	r.note("the last one released", last)
	r.ask("afterwards", http.MethodGet, "/one", nil)
	r.note("events", strings.Join(w.types(5), " "))
	r.note("no more events than these", w.quiet())

	held := r.must(http.MethodPost, "", r.app("held", set([]any{"example.com/a"}, "metadata", "finalizers")))
	r.note("a precondition while it is held", r.do(http.MethodDelete, "/held", options("preconditions", map[string]any{"uid": text(held.object, "metadata", "uid")})).code)
	r.note("released by update", r.do(http.MethodPut, "/held", changed(r.t, r.must(http.MethodGet, "/held", nil).object, set([]any{}, "metadata", "finalizers"))).code)
	r.ask("after that", http.MethodGet, "/held", nil)
}

func checkDeleteCollection(r *transcript) {
	for _, name := range []string{"a1", "a2", "b1", "b2", "c1"} {
		r.must(http.MethodPost, "", r.app(name, set(name[:1], "metadata", "labels", "family")))
	}
	r.note("dry run", r.do(http.MethodDelete, "?dryRun=All", nil).code)
	r.note("after a dry run", names(r.must(http.MethodGet, "", nil)))
	r.ask("by label", http.MethodDelete, "?labelSelector=family%3Da", nil)
	r.note("after by label", names(r.must(http.MethodGet, "", nil)))
	r.ask("by name", http.MethodDelete, "?fieldSelector=metadata.name%3Db1", nil)
	r.note("after by name", names(r.must(http.MethodGet, "", nil)))
	r.ask("a bad selector", http.MethodDelete, "?labelSelector=%3D%3D", nil)
	r.ask("an unknown field", http.MethodDelete, "?fieldSelector=spec.nonsense%3Dx", nil)
	r.note("held", r.must(http.MethodPatch, "/c1", `{"metadata":{"finalizers":["example.com/a"]}}`, mergePatch).code)
	deleted := r.ask("the rest", http.MethodDelete, "", options("propagationPolicy", "Background"))
	r.note("what is told", names(deleted))
	r.note("what is left", names(r.must(http.MethodGet, "", nil)))
	r.must(http.MethodPatch, "/c1", `{"metadata":{"finalizers":[]}}`, mergePatch)
	r.ask("of nothing", http.MethodDelete, "", nil)
	r.ask("an unknown propagation", http.MethodDelete, "?propagationPolicy=Nonsense", nil)
}

// names are those of the items of a list.
func names(list *answer) string {
	items, ok := list.object["items"].([]any)
	if !ok {
		return list.String()
	}
	var out []string
	for _, item := range items {
		out = append(out, text(item.(map[string]any), "metadata", "name"))
	}
	return "[" + strings.Join(out, " ") + "]"
}

func checkDryRun(r *transcript) {
	one := r.must(http.MethodPost, "", r.app("one", set([]any{"example.com/a"}, "metadata", "finalizers")))
	before := r.must(http.MethodGet, "", nil)
	w := r.watch("", "resourceVersion="+before.version())
	created := r.ask("create", http.MethodPost, "?dryRun=All", r.app("two"))
	r.note("what create shows", metadataOf(r, created))
	r.ask("create what is there", http.MethodPost, "?dryRun=All", r.app("one"))
	r.ask("create what is wrong", http.MethodPost, "?dryRun=All", r.app("x", set("a b", "metadata", "labels", "a")))
	updated := r.ask("update", http.MethodPut, "/one?dryRun=All", changed(r.t, one.object, image("ghcr.io/acme/web:2")))
	r.note("what update shows", moved(one, updated))
	r.ask("JSON patch", http.MethodPatch, "/one?dryRun=All", `[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`, jsonPatch)
	r.ask("merge patch", http.MethodPatch, "/one?dryRun=All", `{"metadata":{"labels":{"a":"b"}}}`, mergePatch)
	r.ask("apply", http.MethodPatch, "/one?dryRun=All&fieldManager=x&force=true", r.app("one", image("ghcr.io/acme/web:3")), applyPatch)
	r.ask("apply what is new", http.MethodPatch, "/new?dryRun=All&fieldManager=x", r.app("new"), applyPatch)
	r.ask("status", http.MethodPatch, "/one/status?dryRun=All", `{"status":{"phase":"Deployed"}}`, mergePatch)
	r.ask("delete", http.MethodDelete, "/one?dryRun=All", nil)
	r.ask("delete by the body", http.MethodDelete, "/one", options("dryRun", []any{"All"}))
	r.ask("delete all", http.MethodDelete, "?dryRun=All", nil)
	r.ask("an unknown one", http.MethodPost, "?dryRun=Some", r.app("two"))
	r.ask("said twice", http.MethodPost, "?dryRun=All&dryRun=All", r.app("two"))
	after := r.must(http.MethodGet, "", nil)
	r.note("nothing is new", names(after))
	r.note("nothing is changed", moved(one, r.must(http.MethodGet, "/one", nil)))
	r.note("nothing is heard", w.quiet())
}
