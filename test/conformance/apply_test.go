//go:build conformance && linux

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// managers say who owns what of an object.
func managers(a *answer) string {
	entries, _ := at(a.object, "metadata", "managedFields").([]any)
	var out []string
	for _, entry := range entries {
		m := entry.(map[string]any)
		fields, _ := json.Marshal(m["fieldsV1"])
		out = append(out, fmt.Sprintf("%v %v %v%s: %s", m["manager"], m["operation"], m["fieldsType"], strings.TrimRight(" "+text(m, "subresource"), " "), fields))
	}
	slices.Sort(out)
	return fmt.Sprint(a.code, " ", strings.Join(out, "; "))
}

// labelled is an application of nothing but labels, for appliers that care for no more.
func labelled(r *transcript, labels map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": r.kind.group + "/" + version, "kind": "Application", "metadata": map[string]any{"name": "one", "labels": labels},
	}
}

func checkApply(r *transcript) {
	apply := func(manager string, object any, more ...string) *answer {
		return r.do(http.MethodPatch, "/one?fieldManager="+manager+strings.Join(more, ""), object, applyPatch)
	}
	first := apply("alice", r.app("one", set("b", "metadata", "labels", "a")))
	r.note("create", first)
	r.note("who owns it", managers(first))
	recorded, err := time.Parse(time.RFC3339, text(at(first.object, "metadata", "managedFields").([]any)[0].(map[string]any), "time"))
	r.note("when", err == nil && time.Since(recorded) < time.Minute)
	r.note("again", moved(first, apply("alice", r.app("one", set("b", "metadata", "labels", "a")))))
	conflict := apply("bob", r.app("one", image("ghcr.io/acme/web:2")))
	r.note("a conflict", conflict)
	r.note("its causes", fmt.Sprint(at(conflict.object, "details", "causes")))
	r.note("force", managers(apply("bob", r.app("one", image("ghcr.io/acme/web:2")), "&force=true")))
	r.note("the loser applies the same", apply("alice", r.app("one", image("ghcr.io/acme/web:2"), set("b", "metadata", "labels", "a"))).code)
	r.note("a label of a third", managers(apply("carol", labelled(r, map[string]any{"c": "d"}))))
	r.note("it is given up", text(apply("carol", labelled(r, map[string]any{})).object, "metadata", "labels"))
	both := apply("carol", r.app("one", func(o map[string]any) {
		o["spec"] = map[string]any{"components": []any{component("db", "ghcr.io/acme/db:1")}}
	}))
	r.note("a list by name", fmt.Sprint(componentsOf(both)))
	r.note("an entry is given up", fmt.Sprint(componentsOf(apply("carol", labelled(r, map[string]any{})))))
	updated := r.do(http.MethodPatch, "/one?fieldManager=dave", `{"metadata":{"labels":{"a":"x"}}}`, mergePatch)
	r.note("an update takes over", managers(updated))
	r.note("conflict with an update", apply("alice", r.app("one", image("ghcr.io/acme/web:2"), set("b", "metadata", "labels", "a"))))
	r.note("stale version", apply("alice", r.app("one", set(first.version(), "metadata", "resourceVersion")), "&force=true"))
	r.note("another name", apply("alice", r.app("two"), "&force=true"))
	r.note("no name", apply("alice", r.app("", func(o map[string]any) { delete(o["metadata"].(map[string]any), "name") }), "&force=true"))
	r.note("another uid", apply("alice", r.app("one", set("11111111-1111-1111-1111-111111111111", "metadata", "uid")), "&force=true"))
	r.note("managed fields sent", apply("alice", r.app("one", set([]any{}, "metadata", "managedFields")), "&force=true"))
	r.note("managed fields sent with content", apply("alice", r.app("one", set([]any{map[string]any{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": map[string]any{}}}, "metadata", "managedFields")), "&force=true"))
	r.note("no manager", r.do(http.MethodPatch, "/one", r.app("one"), applyPatch))
	r.note("force maybe", apply("alice", r.app("one"), "&force=maybe"))
	r.note("no YAML", apply("alice", "{"))
	r.note("nothing", apply("alice", ""))
	r.note("a list", apply("alice", "[]"))
	r.note("another kind", apply("alice", r.app("one", set("ConfigMap", "kind")), "&force=true"))
	r.note("another version", apply("alice", r.app("one", set(r.kind.group+"/v9", "apiVersion")), "&force=true"))
	r.note("no kind", apply("alice", r.app("one", set("", "kind")), "&force=true"))
	r.note("a spec of another type", apply("alice", r.app("one", set("x", "spec")), "&force=true").code)
	r.note("a list of another type", apply("alice", r.app("one", set("x", "spec", "components")), "&force=true").code)
	r.note("two of a name", apply("alice", r.app("one", set([]any{component("web", "a/b:1"), component("web", "a/b:2")}, "spec", "components")), "&force=true").code)
	r.note("YAML", apply("yaml", "apiVersion: "+r.kind.group+"/v1beta1\nkind: Application\nmetadata: {name: one, labels: {yaml: \"yes\"}}\n").code)
	r.note("everybody's fields are forgotten", managers(r.do(http.MethodPatch, "/one?fieldManager=eve", `{"metadata":{"managedFields":[{}]}}`, mergePatch)))
	r.note("apply after that", managers(apply("alice", r.app("one"), "&force=true")))
	agents := r.do(http.MethodPost, "", r.app("two"), "User-Agent: wonder/1.0")
	r.note("the manager of a create", managers(agents))
	r.note("an applier that creates nothing", r.do(http.MethodPatch, "/new/status?fieldManager=x", labelled(r, nil), applyPatch))
}

func componentsOf(a *answer) []string {
	items, _ := at(a.object, "spec", "components").([]any)
	var out []string
	for _, item := range items {
		out = append(out, text(item.(map[string]any), "name"))
	}
	return out
}

func checkFieldValidation(r *transcript) {
	unknown := r.app("x", set(1, "spec", "nonsense"))
	nested := r.app("x", func(o map[string]any) {
		set("y", "properties", "nonsense")(o["spec"].(map[string]any)["components"].([]any)[0].(map[string]any))
	})
	duplicate := strings.Replace(mustJSON(r, r.app("x")), `"kind":`, `"kind":"Application","kind":`, 1)
	inMetadata := r.app("x", set("y", "metadata", "nonsense"))
	top := r.app("x", set("y", "nonsense"))
	r.must(http.MethodPost, "", r.app("one"))
	now := r.must(http.MethodGet, "/one", nil)
	for _, level := range []string{"", "Strict", "Warn", "Ignore", "Nonsense"} {
		query := "?dryRun=All&fieldValidation=" + level
		for label, body := range map[string]any{"unknown": unknown, "nested": nested, "duplicate": duplicate, "in metadata": inMetadata, "at the top": top} {
			r.note(level+" create "+label, warned(r.do(http.MethodPost, query, body)))
		}
		r.note(level+" update", warned(r.do(http.MethodPut, "/one"+query, changed(r.t, now.object, set(1, "spec", "nonsense")))))
		r.note(level+" merge patch", warnedBriefly(r.do(http.MethodPatch, "/one"+query, `{"spec":{"nonsense":1}}`, mergePatch)))
		r.note(level+" JSON patch", warnedBriefly(r.do(http.MethodPatch, "/one"+query, `[{"op":"add","path":"/spec/nonsense","value":1}]`, jsonPatch)))
		r.note(level+" JSON patch with a duplicate", warnedBriefly(r.do(http.MethodPatch, "/one"+query, `[{"op":"add","op":"add","path":"/metadata/labels","value":{}}]`, jsonPatch)))
		r.note(level+" apply", warned(r.do(http.MethodPatch, "/one"+query+"&fieldManager=x&force=true", changed(r.t, unknown, set("one", "metadata", "name")), applyPatch)))
		r.note(level+" apply with a duplicate", warned(r.do(http.MethodPatch, "/x"+query+"&fieldManager=x&force=true", duplicate, applyPatch)))
		r.note(level+" YAML", warned(r.do(http.MethodPost, query, "apiVersion: "+r.kind.group+"/v1beta1\nkind: Application\nmetadata: {name: x}\nspec: {components: [], components: [], nonsense: 1}\n", "Content-Type: application/yaml")))
	}
	kept := r.must(http.MethodPost, "?fieldValidation=Ignore", unknown)
	r.note("what is unknown is dropped", at(kept.object, "spec", "nonsense"))
	free := r.must(http.MethodPost, "", r.app("free", func(o map[string]any) {
		set(map[string]any{"instances": 1, "whatever": map[string]any{"is": []any{"free", 1.5, true, nil}}}, "properties")(
			o["spec"].(map[string]any)["components"].([]any)[0].(map[string]any)["traits"].([]any)[0].(map[string]any))
		set("somebody-elses", "type")(
			o["spec"].(map[string]any)["components"].([]any)[0].(map[string]any)["traits"].([]any)[0].(map[string]any))
	}))
	r.note("what is free is kept", mustJSON(r, at(free.object, "spec")))
}

func mustJSON(r *transcript, value any) string {
	r.t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// warned is an answer with its warnings.
func warned(a *answer) string {
	return a.String() + strings.TrimRight(" "+strings.Join(a.header.Values("Warning"), " "), " ")
}

func warnedBriefly(a *answer) string {
	return a.brief() + strings.TrimRight(" "+strings.Join(a.header.Values("Warning"), " "), " ")
}

func checkStatus(r *transcript) {
	first := r.must(http.MethodPost, "", r.app("one"))
	put := func(from *answer, change ...func(map[string]any)) *answer {
		return r.do(http.MethodPut, "/one/status?fieldManager=controller", changed(r.t, from.object, change...))
	}
	second := put(first, set("Deployed", "status", "phase"), image("ghcr.io/acme/web:9"), set("b", "metadata", "labels", "a"),
		set([]any{"example.com/a"}, "metadata", "finalizers"))
	r.note("update", moved(first, second))
	r.note("spec stays", mustJSON(r, at(second.object, "spec")) == mustJSON(r, at(first.object, "spec")))
	r.note("labels stay", at(second.object, "metadata", "labels"))
	r.note("finalizers stay", at(second.object, "metadata", "finalizers"))
	r.note("status is written", text(second.object, "status", "phase"))
	r.note("stale", put(first, set("Failed", "status", "phase")))
	r.note("nothing", moved(second, put(second)))
	third := r.must(http.MethodPut, "/one", changed(r.t, second.object, set("Failed", "status", "phase"), image("ghcr.io/acme/web:2")))
	r.note("update of the spec", moved(second, third))
	r.note("status stays", text(third.object, "status", "phase"))
	r.note("get", text(r.must(http.MethodGet, "/one/status", nil).object, "status", "phase"))
	r.note("merge patch", text(r.must(http.MethodPatch, "/one/status", `{"status":{"phase":"Failed"},"spec":{"components":[]}}`, mergePatch).object, "status", "phase"))
	r.note("JSON patch", text(r.must(http.MethodPatch, "/one/status", `[{"op":"replace","path":"/status/phase","value":"Reconciling"}]`, jsonPatch).object, "status", "phase"))
	r.note("JSON patch of the spec", moved(r.must(http.MethodGet, "/one", nil), r.must(http.MethodPatch, "/one/status", `[{"op":"replace","path":"/spec/components","value":[]}]`, jsonPatch)))
	object := labelled(r, map[string]any{"x": "y"})
	set("v1", "status", "deployedVersion")(object)
	applied := r.do(http.MethodPatch, "/one/status?fieldManager=applier", object, applyPatch)
	r.note("apply", applied)
	r.note("who owns it", managersOf(applied, "applier", "controller"))
	set("v2", "status", "deployedVersion")(object)
	r.note("apply by another", r.do(http.MethodPatch, "/one/status?fieldManager=other", object, applyPatch))
	r.note("force", r.do(http.MethodPatch, "/one/status?fieldManager=other&force=true", object, applyPatch).code)
	main := r.app("one", image("ghcr.io/acme/web:3"))
	set("v3", "status", "deployedVersion")(main)
	r.note("status in an apply of the spec", text(r.must(http.MethodPatch, "/one?fieldManager=z&force=true", main, applyPatch).object, "status", "deployedVersion"))
	r.note("it owns no status", managersOf(r.must(http.MethodGet, "/one", nil), "z"))
	r.note("missing", r.do(http.MethodPut, "/missing/status", r.app("missing", set("1", "metadata", "resourceVersion"))))
	r.note("get missing", r.do(http.MethodGet, "/missing/status", nil))
	r.note("another type", r.do(http.MethodPatch, "/one/status", `{"status":{"phase":1}}`, mergePatch).code)
	r.note("a value that is none", r.do(http.MethodPatch, "/one/status", `{"status":{"observedGeneration":"x"}}`, mergePatch).code)
	r.note("unknown field, strict", r.do(http.MethodPatch, "/one/status?fieldValidation=Strict", `{"status":{"nonsense":1}}`, mergePatch).brief())
	r.note("emptied", r.do(http.MethodPatch, "/one/status", `{"status":{"phase":null,"deployedVersion":null}}`, mergePatch).code)
	r.note("dry run", text(r.must(http.MethodPatch, "/one/status?dryRun=All", `{"status":{"phase":"Failed"}}`, mergePatch).object, "status", "phase"))
	r.note("after a dry run", text(r.must(http.MethodGet, "/one", nil).object, "status", "phase"))
}

// managersOf is managers of some names.
func managersOf(a *answer, names ...string) string {
	entries, _ := at(a.object, "metadata", "managedFields").([]any)
	kept := slices.DeleteFunc(slices.Clone(entries), func(e any) bool { return !slices.Contains(names, text(e.(map[string]any), "manager")) })
	return managers(&answer{code: a.code, object: map[string]any{"metadata": map[string]any{"managedFields": kept}}})
}
